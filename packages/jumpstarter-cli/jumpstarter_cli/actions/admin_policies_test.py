"""Access policies and routers, against a real lab."""

import json
from pathlib import Path

import pytest
import yaml
from jumpstarter.config.admin import AdminConfig

from jumpstarter_cli.lab_desk_test import LabDesk

NIGHT = """\
name: night
exporter_selector: board=x
rules:
- description: the night team
  client_selectors: [team=a, team=b]
  maximum_duration: 8h
  priority: 10
- spot: true
"""
ASK = ("create", "lease", "-n", "board", "-o", "name")


@pytest.fixture
def desk(lab_desk: LabDesk, monkeypatch: pytest.MonkeyPatch) -> LabDesk:
    monkeypatch.setattr(AdminConfig, "DEFAULT_PATH", lab_desk.lab.admin_file)
    return lab_desk


@pytest.fixture
def file(desk: LabDesk) -> Path:
    path = desk.folder / "night.yaml"
    path.write_text(NIGHT, encoding="utf-8")
    return path


def test_a_policy_comes_back_as_a_file_that_can_be_put_again(desk: LabDesk, file: Path):
    assert desk.jmp("admin", "put", "policy", str(file)).out == (
        "policy.jumpstarter.dev/night written\n"
    )
    shown = desk.jmp("admin", "get", "policy", "night", "-o", "yaml").out
    rules = yaml.safe_load(shown)["rules"]
    assert [rule["maximum_duration"] for rule in rules] == [28800, None]
    assert [rule["client_selectors"] for rule in rules] == [["team=a", "team=b"], [""]]
    file.write_text(shown, encoding="utf-8")
    assert desk.jmp("admin", "put", "policy", str(file), "-o", "yaml").out == shown
    assert desk.jmp("admin", "get", "policy", "-o", "name").out == "policy.jumpstarter.dev/night\n"


def test_policies_are_shown_one_line_for_each_rule(desk: LabDesk, file: Path):
    empty = "No resources found in default namespace.\n"
    assert desk.jmp("admin", "get", "policy").out == empty
    desk.jmp("admin", "put", "policy", str(file))
    lines = [line.split() for line in desk.jmp("admin", "get", "policy").out.splitlines()]
    columns = ["NAME", "EXPORTERS", "CLIENTS", "PRIORITY", "MAXIMUM", "SPOT", "DESCRIPTION"]
    assert lines == [
        columns,
        ["night", "board=x", "team=a", "or", "team=b", "10", "8h", "no", "the", "night", "team"],
        ["night", "board=x", "*", "0", "yes"],
    ]
    done = desk.jmp("admin", "delete", "policy", "night")
    assert done.out == "policy.jumpstarter.dev/night deleted\n"
    assert desk.jmp("admin", "get", "policy").out == empty


def test_a_policy_decides_who_may_lease(desk: LabDesk, file: Path):
    for name in ("ann", "bob"):
        desk.client(name)
    file.write_text("name: p\nrules: [{client_selectors: [team=a], maximum_duration: 10m}]\n")
    desk.jmp("admin", "put", "policy", str(file))
    desk.jmp("admin", "update", "client", "ann", "-l", "team=a")
    with desk.running("board", kind="x"):
        granted = desk.jmp(*ASK, "--client", "ann", "--duration", "5m", "--wait")
        long = desk.jmp(*ASK, "--client", "ann", "--duration", "20m")
        foreign = desk.jmp(*ASK, "--client", "bob", "--duration", "5m")
        found = desk.jmp("admin", "get", "leases", "-o", "json", "--all").out
    assert granted.code == 0, granted.err
    items = json.loads(found)["items"]
    reasons = {item["name"]: item["conditions"][-1]["reason"] for item in items}
    wanted = {granted: "Ready", long: "NoAccess", foreign: "NoAccess"}
    assert reasons == {done.out.strip(): reason for done, reason in wanted.items()}


@pytest.mark.parametrize(
    ("change", "line", "text"),
    [
        (("maximum_duration: 8h", "maximum_duration: later"), 6, "'later' is no duration"),
        (("priority: 10", "priorty: 10"), 7, "did you mean 'priority'?"),
        (("exporter_selector", "exporter_slector"), 2, "did you mean 'exporter_selector'?"),
        (("[team=a, team=b]", "team=a"), 5, "client_selectors"),
        (("[team=a, team=b]", "[]"), 5, "client_selectors"),
    ],
)
def test_what_is_wrong_in_a_policy_is_told_with_its_line(
    desk: LabDesk, file: Path, change: tuple[str, str], line: int, text: str
):
    file.write_text(NIGHT.replace(*change), encoding="utf-8")
    done = desk.jmp("admin", "put", "policy", str(file))
    assert done.code == 1
    assert f"{file}:{line}: " in done.err
    assert text in done.err
    assert done.err.count("\n") == 1


def test_a_router_is_admitted_with_a_private_token(desk: LabDesk):
    out = desk.folder / "west.token"
    made = desk.jmp("admin", "create", "router", "west", "--out", str(out))
    assert made.code == 0, made.err
    assert out.stat().st_mode & 0o777 == 0o600
    token = out.read_text(encoding="ascii").strip()
    assert token.count(".") == 2
    assert token not in made.out
    lines = [line.split() for line in desk.jmp("admin", "get", "routers").out.splitlines()]
    assert lines == [
        ["NAME", "ENDPOINT", "STREAMS", "ALIVE", "LABELS"],
        ["embedded", desk.lab.router_endpoint, "0", "yes"],
        ["west", "0", "no"],
    ]
    again = desk.jmp("admin", "create", "router", "west", "--out", str(desk.folder / "other"))
    assert again.err.startswith("Error from server (AlreadyExists): ")
    assert not (desk.folder / "other").exists()
    assert desk.jmp("admin", "create", "router", "east", "--out", str(out)).code == 1
    assert desk.jmp("admin", "delete", "router", "west", "-o", "name").out == (
        "router.jumpstarter.dev/west\n"
    )
    assert desk.jmp("admin", "get", "router", "-o", "name").out == (
        "router.jumpstarter.dev/embedded\n"
    )


def test_a_token_that_could_not_be_written_is_not_made(desk: LabDesk):
    done = desk.jmp("admin", "create", "router", "west", "--out", "/proc/west/token")
    assert done.code == 1
    assert desk.jmp("admin", "get", "router", "west").code == 1
