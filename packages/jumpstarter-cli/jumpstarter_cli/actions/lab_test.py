"""`jmp lab`: exporters and clients in one step against a real lab, and the lab as a process."""

import signal
import socket
import sys
from pathlib import Path

import pytest
import yaml
from jumpstarter.config.admin import AdminConfig
from jumpstarter.config.client import UserConfigV1Alpha1
from jumpstarter.config.exporter import ExporterConfigV1Alpha1

from jumpstarter_cli.actions.lab_running import link_admin_file
from jumpstarter_cli.actions.lab_steps import Ready, next_steps
from jumpstarter_cli.actions.lab_up import default_data
from jumpstarter_cli.conftest import JMP, Desk
from jumpstarter_cli.lab_desk_test import LAMPS, LabDesk

TEXT = f"# My board\nexport:\n  lamp: {{type: {LAMPS}.Lamp}} # the lamp\n"
UP = ("lab", "up", "--grpc", "127.0.0.1:0", "--router", "127.0.0.1:0", "--data")


@pytest.fixture
def desk(lab_desk: LabDesk, monkeypatch: pytest.MonkeyPatch) -> LabDesk:
    monkeypatch.setattr(AdminConfig, "DEFAULT_PATH", lab_desk.lab.admin_file)
    return lab_desk


@pytest.fixture
def file(desk: LabDesk) -> Path:
    path = desk.folder / "board.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def names(desk: LabDesk) -> list[str]:
    return [record.name for record in desk.portal.call(desk.admin.list_exporters)]


def test_an_exporters_file_gets_its_credentials(desk: LabDesk, file: Path):
    done = desk.jmp("lab", "add-exporter", str(file), "-l", "kind=x")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == f"Run it with: jmp run --exporter-config {file}"
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# My board\nmetadata:\n  namespace: default\n  name: board\n")
    assert text.endswith(TEXT.removeprefix("# My board\n"))
    assert file.stat().st_mode & 0o777 == 0o600
    config = ExporterConfigV1Alpha1.load_path(file)
    assert (config.endpoint, list(config.export)) == (desk.lab.endpoint, ["lamp"])
    record = desk.portal.call(desk.admin.get_exporter, "board")
    assert record.labels == {"kind": "x"}


def test_a_token_is_replaced_only_by_force(desk: LabDesk, file: Path):
    desk.jmp("lab", "add-exporter", str(file), "-l", "kind=x")
    before = file.read_text(encoding="utf-8")
    again = desk.jmp("lab", "add-exporter", str(file))
    assert (again.code, again.out) == (1, "")
    assert again.err == (
        f"Error: '{file}' has a token already: it is an exporter's; --force replaces it\n"
    )
    assert file.read_text(encoding="utf-8") == before
    forced = desk.jmp("lab", "add-exporter", str(file), "--force", "-l", "site=a", "-o", "name")
    assert (forced.code, forced.out) == (0, "board\n")
    assert file.read_text(encoding="utf-8") != before
    record = desk.portal.call(desk.admin.get_exporter, "board")
    assert record.labels == {"kind": "x", "site": "a"}


@pytest.mark.parametrize(
    ("text", "words", "name"),
    [
        ("metadata: {namespace: null, name: one}\n" + TEXT, (), "one"),
        ("metadata: {namespace: null, name: one}\n" + TEXT, ("--name", "two"), "two"),
        ("extra: 1\n" + TEXT, (), "board"),
    ],
)
def test_the_name_is_the_options_or_the_files(
    desk: LabDesk, file: Path, text: str, words: tuple[str, ...], name: str
):
    file.write_text(text, encoding="utf-8")
    assert desk.jmp("lab", "add-exporter", str(file), *words).code == 0
    assert names(desk) == [name]
    assert yaml.safe_load(file.read_text(encoding="utf-8"))["metadata"]["name"] == name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("metadata: {namespace: null, name: a}\n", "board.yaml: export is missing"),
        ("export: [1]\n", "board.yaml:1: export must be a mapping"),
        ("export: {a: {typ: x}}\n", "board.yaml:1: export.a"),
        ("export: {\n", "board.yaml:2: not valid YAML"),
        ("", "board.yaml:1: the document is empty"),
    ],
)
def test_nothing_is_made_for_a_wrong_file(desk: LabDesk, file: Path, text: str, told: str):
    file.write_text(text, encoding="utf-8")
    done = desk.jmp("lab", "add-exporter", str(file))
    assert (done.code, done.out) == (1, "")
    assert told in done.err
    assert done.err.count("\n") == 1
    assert file.read_text(encoding="utf-8") == text
    assert names(desk) == []


def test_an_exporter_whose_file_cannot_be_written_is_not_made(desk: LabDesk):
    done = desk.jmp("lab", "add-exporter", "/proc/version")
    assert (done.code, names(desk)) == (1, [])
    link = desk.folder / "link.yaml"
    target = desk.folder / "gone" / "board.yaml"
    target.parent.mkdir()
    target.write_text(TEXT, encoding="utf-8")
    link.symlink_to(target)
    assert desk.jmp("lab", "add-exporter", str(link)).code == 0
    assert link.is_symlink()


def test_a_client_is_the_current_one_when_it_is_the_first(desk: LabDesk):
    done = desk.jmp("lab", "add-client", "ann", "-a", "mylab.*", "-l", "team=a")
    assert (done.code, done.err) == (0, "")
    assert desk.jmp("lab", "add-client", "bob", "--unsafe", "-o", "path").out == (
        f"{desk.clients / 'bob.yaml'}\n"
    )
    current = UserConfigV1Alpha1.load().config.current_client
    assert current is not None
    assert (current.alias, current.drivers.allow) == ("ann", ["mylab.*"])
    assert desk.portal.call(desk.admin.get_client, "ann").labels == {"team": "a"}
    again = desk.jmp("lab", "add-client", "bob")
    assert (again.code, again.out) == (1, "")
    assert "client 'bob' exists" in again.err


def test_from_nothing_to_a_leased_device(desk: LabDesk, file: Path):
    desk.jmp("lab", "add-exporter", str(file), "-l", "kind=x")
    desk.jmp("lab", "add-client", "ann")
    assert desk.jmp("create", "lease", "-l", "kind=x", "--duration", "5m").code == 0


def test_the_administrators_file_is_linked_where_commands_look(tmp_path: Path):
    file, link = tmp_path / "data.yaml", tmp_path / "home" / "admin.yaml"
    file.write_text("one")
    assert link_admin_file(file, link)
    assert link_admin_file(file, link)
    other = tmp_path / "other.yaml"
    other.write_text("two")
    assert not link_admin_file(other, link)
    file.unlink()
    assert link_admin_file(other, link)
    assert link.read_text() == "two"
    link.unlink()
    link.write_text("mine")
    assert not link_admin_file(other, link)
    assert link.read_text() == "mine"
    assert not link_admin_file(other, Path("/proc/none/admin.yaml"))


def test_what_to_do_next_is_said():
    ready = Ready(
        endpoint="127.0.0.1:1", router="127.0.0.1:2", login=None, data=Path("/d"), admin_file=None
    )
    lines = next_steps(ready).splitlines()
    assert lines[:2] == ["Lab ready: controller 127.0.0.1:1, router 127.0.0.1:2", "Data: /d"]
    assert any(line.startswith("Only this machine") for line in lines)
    assert "JMP_ADMIN_CONFIG" not in next_steps(ready)
    far = Ready(
        endpoint="lab.example.com:1",
        router="lab.example.com:2",
        login="0.0.0.0:3",
        data=Path("/d"),
        admin_file=Path("/d d/admin.yaml"),
    )
    text = next_steps(far)
    assert text.count("  export JMP_ADMIN_CONFIG='/d d/admin.yaml'\n") == 2
    assert "http://0.0.0.0:3/readyz" in text
    assert "Only this machine" not in text


def test_the_data_directory_is_the_users(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_data(Path("/h")) == Path("/h/.local/share/jumpstarter/lab")
    monkeypatch.setenv("XDG_DATA_HOME", "/x")
    assert default_data(Path("/h")) == Path("/x/jumpstarter/lab")


def test_a_lab_is_ready_when_it_says_so_and_ends_well(desk_of_processes: Desk):
    desk = desk_of_processes
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(desk.folder / "notify"))
        manager.settimeout(40)
        env = {"NOTIFY_SOCKET": str(desk.folder / "notify")}
        with desk.start(*JMP, *UP, "data", env=env) as process:
            assert manager.recv(100) == b"READY=1"
            assert process.stdout is not None
            assert process.stdout.readline().startswith("Lab ready: controller 127.0.0.1:")
            assert desk.jmp("admin", "get", "clients").code == 0
            busy = desk.jmp(*UP, "data")
            process.send_signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"
            assert process.wait(20) == 0
    assert busy.code == 1
    assert "is in use by another controller" in busy.err.splitlines()[-1]
    assert "Traceback" not in busy.err


@pytest.fixture
def desk_of_processes(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("d"))


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--grpc", "8082"), 2, "--grpc: '8082' has no host"),
        (("--router", "a:b"), 2, "--router: 'a:b' is no"),
        (("--endpoint", "lab"), 2, "--endpoint: 'lab' is no HOST:PORT"),
        (("--tls-cert", "x"), 2, "--tls-cert and --tls-key go together"),
        (("--tls-ca", "x"), 2, "--tls-ca needs --tls-cert and --tls-key"),
        (("--data", "/proc/lab"), 1, "cannot use the data directory '/proc/lab'"),
        (("--data", "d", "--grpc", "{taken}"), 1, "cannot listen on {taken}"),
        (("--data", "d", "--tls-cert", "x", "--tls-key", "y"), 1, "cannot read 'x'"),
    ],
)
def test_what_keeps_a_lab_from_starting_is_told_in_one_line(
    desk: LabDesk,
    words: tuple[str, ...],
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(desk.folder)
    free = ("--grpc", "127.0.0.1:0", "--router", "127.0.0.1:0")
    taken = desk.lab.endpoint
    done = desk.jmp(
        "--log-level", "ERROR", "lab", "up", *free, *(word.format(taken=taken) for word in words)
    )
    assert (done.code, done.out) == (code, "")
    assert text.format(taken=taken) in done.err
    assert done.err.count("\n") == 1


def test_without_the_extra_it_says_what_to_install(desk: LabDesk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "jumpstarter_lab", None)
    done = desk.jmp("lab", "up")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "Error: a lab needs one more package: install it with "
        "`pip install 'jumpstarter-cli[lab]'`\n"
    )
