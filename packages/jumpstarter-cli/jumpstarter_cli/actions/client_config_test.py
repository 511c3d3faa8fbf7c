"""`jmp config client`, and which client a command uses."""

import json
import stat
from collections.abc import Callable, Generator
from pathlib import Path

import click
import pytest
import yaml
from jumpstarter.config.client import ClientConfigV1Alpha1

from jumpstarter_cli.lab_desk_test import Done, point_at, quiet_logging, typed
from jumpstarter_cli.selection import chosen_client, find_client

Jmp = Callable[..., Done]
CREATE = ("config", "client", "create", "--nointeractive", "-e", "lab:1", "-t", "a.b.c")
SHOW = ("config", "client", "list")


@pytest.fixture
def jmp(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Generator[Jmp]:
    point_at(tmp_path, monkeypatch)
    with quiet_logging():
        yield lambda *words: typed(capfd, *words)


def current(jmp: Jmp) -> str | None:
    return json.loads(jmp(*SHOW, "-o", "json").out)["currentConfig"]


def test_first_client_becomes_the_current_one(jmp: Jmp, tmp_path: Path):
    path = tmp_path / "clients" / "ann.yaml"
    done = jmp(*CREATE, "ann", "-a", "x.*, y.*", "-a", "z")
    assert (done.code, done.out) == (0, f"client 'ann' created in {path}\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    file = yaml.safe_load(path.read_text())
    assert file["metadata"] == {"namespace": "default", "name": "ann"}
    assert file["drivers"] == {"allow": ["x.*", "y.*", "z"], "unsafe": False}
    assert jmp(*CREATE, "bob", "-o", "path").out == f"{tmp_path}/clients/bob.yaml\n"
    assert current(jmp) == "ann"


def test_list_use_and_delete(jmp: Jmp, tmp_path: Path):
    assert jmp(*SHOW).out == "No resources found.\n"
    for alias in ("ann", "bob"):
        jmp(*CREATE, alias)
    assert jmp("config", "client", "use", "bob").code == 0
    lines = [line.split() for line in jmp(*SHOW).out.splitlines()]
    assert lines[0] == ["CURRENT", "ALIAS", "ENDPOINT", "PATH"]
    assert lines[1] == ["ann", "lab:1", f"{tmp_path}/clients/ann.yaml"]
    assert lines[2][:2] == ["*", "bob"]
    assert jmp(*SHOW, "-o", "name").out == "ann\nbob\n"
    data = json.loads(jmp(*SHOW, "-o", "json").out)
    assert set(data) == {"apiVersion", "currentConfig", "items", "kind"}
    assert "a.b.c" not in str(data)
    assert jmp("conf", "c", "del", "bob", "-o", "path").out == f"{tmp_path}/clients/bob.yaml\n"
    assert current(jmp) is None
    assert jmp(*SHOW, "-o", "name").out == "ann\n"


def test_file_elsewhere_is_nobodys_current_one(jmp: Jmp, tmp_path: Path):
    out = tmp_path / "mine.yaml"
    assert jmp(*CREATE, "ann", "--out", str(out)).code == 0
    assert ClientConfigV1Alpha1.from_file(out).endpoint == "lab:1"
    assert not (tmp_path / "config.yaml").exists()


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ((*CREATE, "ann"), 1, "client 'ann' exists; `jmp config client delete ann` removes it"),
        ((*CREATE, "x", "--out", "{folder}"), 1, "'{folder}' exists; choose another file, "),
        ((*CREATE, "a/b"), 1, "'a/b' is no client alias; use a name without path separators"),
        (("config", "client", "create", "x", "--nointeractive"), 2, "a client needs --endpoint; "),
    ],
)
def test_refusal_writes_nothing(
    jmp: Jmp, tmp_path: Path, words: tuple[str, ...], code: int, line: str
):
    jmp(*CREATE, "ann")
    before = sorted(tmp_path.rglob("*"))
    done = jmp(*(word.format(folder=tmp_path) for word in words))
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"Error: {line.format(folder=tmp_path)}")
    assert done.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_order_in_which_a_client_is_looked_for(
    jmp: Jmp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert find_client(None, None) is None
    with pytest.raises(click.ClickException, match="default config is not set"):
        chosen_client(None, None)
    for alias in ("ann", "bob"):
        jmp(*CREATE, alias)
    assert chosen_client(None, None).alias == "ann"
    monkeypatch.setenv("JMP_NAMESPACE", "n")
    assert chosen_client(None, None).alias == "ann"
    monkeypatch.setenv("JMP_NAME", "eve")
    assert chosen_client(None, None).metadata.name == "eve"
    assert chosen_client("bob", None).alias == "bob"
    assert chosen_client(None, tmp_path / "clients" / "bob.yaml").alias == "bob"
