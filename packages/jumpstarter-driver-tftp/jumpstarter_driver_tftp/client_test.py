"""The client through a real session: verified files, the status, the stream of requests."""

import json
import os
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from jumpstarter.client.core import DriverError
from jumpstarter.common.utils import serve

from jumpstarter_driver_tftp import driver as driver_module
from jumpstarter_driver_tftp.client import TftpServerClient
from jumpstarter_driver_tftp.conftest import PATIENCE
from jumpstarter_driver_tftp.driver import Tftp
from jumpstarter_driver_tftp.errors import DamagedError
from jumpstarter_driver_tftp.reports import Report, State
from jumpstarter_driver_tftp.requester import Location, Wishes, get


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def driver(root: Path) -> Tftp:
    return Tftp(root_dir=str(root), host="127.0.0.1", port=0)


@pytest.fixture
def client(driver: Tftp) -> Generator[TftpServerClient]:
    with serve(driver) as client:
        assert isinstance(client, TftpServerClient)
        yield client


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "boot.img"
    path.write_bytes(os.urandom(100_000))
    return path


def fetch(client: TftpServerClient, name: str) -> bytes:
    """Fetch a file, and return when the server too has seen the end of the transfer."""
    known = max((report.number for report in client.transfers(follow=False)), default=0)
    location = Location(client.get_host(), client.get_port(), name)
    data = b"".join(piece.data for piece in get(location, Wishes(blksize=1428)))
    with closing(client.transfers()) as reports:
        assert any(
            report.number > known and report.state is not State.RUNNING for report in reports
        )
    return data


def run(client: TftpServerClient, *words: str) -> Result:
    return CliRunner().invoke(client.cli(), list(words))


def printed(client: TftpServerClient, *words: str) -> str:
    result = run(client, *words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


@pytest.fixture
def ask(client: TftpServerClient) -> Generator[Callable[[str], socket.socket]]:
    """Return a function that asks for a file, takes the first block, and leaves it at that."""
    sockets: list[socket.socket] = []

    def ask(name: str) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sockets.append(sock)
        sock.settimeout(PATIENCE)
        sock.sendto(b"\0\1%s\0octet\0" % name.encode(), (client.get_host(), client.get_port()))
        _, source = sock.recvfrom(1000)
        sock.connect(source)
        return sock

    yield ask
    for sock in sockets:
        sock.close()


def test_put_makes_directories_and_leaves_nothing_else(
    client: TftpServerClient, image: Path, root: Path
):
    stored = client.put(image, "a/b/boot.img")
    assert (stored.name, stored.size) == ("a/b/boot.img", 100_000)
    assert [path.name for path in (root / "a" / "b").iterdir()] == ["boot.img"]
    assert (root / "a" / "b" / "boot.img").read_bytes() == image.read_bytes()
    client.put(image)
    assert (root / "boot.img").exists()


def test_put_replaces_a_file_at_once(
    client: TftpServerClient, ask: Callable[[str], socket.socket], tmp_path: Path
):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"o" * 1000)
    new.write_bytes(b"n" * 1000)
    client.put(old, "f")
    client.start()
    sock = ask("f")
    client.put(new, "f")
    sock.send(b"\0\4\0\1")
    assert sock.recv(1000) == b"\0\3\0\2" + b"o" * 488, "as it was when it was opened"
    assert fetch(client, "f") == b"n" * 1000


def test_put_that_arrives_damaged_is_an_error_and_leaves_nothing(
    client: TftpServerClient, image: Path, root: Path, monkeypatch: pytest.MonkeyPatch
):
    (root / "boot.img").write_bytes(b"before")
    write = client.storage.write_from_path

    def damage(name: str, path: Path) -> None:
        write(name, path)
        with (root / name).open("r+b") as file:
            file.write(bytes(64))

    monkeypatch.setattr(client.storage, "write_from_path", damage)
    with pytest.raises(DamagedError, match=r"boot\.img: what arrived differs"):
        client.put(image)
    assert [path.name for path in root.iterdir()] == ["boot.img"]
    assert (root / "boot.img").read_bytes() == b"before"
    result = run(client, "put", str(image))
    assert (result.exit_code, "Error: boot.img: what arrived differs" in result.output) == (1, True)


def test_put_of_a_missing_file(client: TftpServerClient, root: Path):
    with pytest.raises(FileNotFoundError):
        client.put("/nowhere/boot.img")
    assert list(root.iterdir()) == []


def test_get(
    client: TftpServerClient, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    client.put(image, "a/boot.img")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert client.get("a/boot.img").size == 100_000
    client.get("a/boot.img", "copy")
    (here / "folder").mkdir()
    client.get("a/boot.img", here / "folder")
    for path in (here / "boot.img", here / "copy", here / "folder" / "boot.img"):
        assert path.read_bytes() == image.read_bytes()
    with pytest.raises(DriverError, match="no such file"):
        client.get("b")
    assert {path.name for path in here.iterdir()} == {"boot.img", "copy", "folder"}


def test_ls_and_rm(client: TftpServerClient, image: Path, root: Path):
    for name in ("b", "a/c", "a/b/d"):
        client.put(image, name)
    (root / ".tftp-upload-x").touch()
    assert [file.name for file in client.ls()] == ["a/b/d", "a/c", "b"]
    assert [file.name for file in client.ls("a/b")] == ["a/b/d"]
    client.rm("a/c")
    assert not (root / "a" / "c").exists()
    with pytest.raises(DriverError, match="no such file"):
        client.rm("a/c")


def test_status_of_a_server_that_does_not_run(client: TftpServerClient):
    status = client.server_status()
    assert (status.running, status.host, status.port) == (False, "127.0.0.1", 0)
    assert (status.requests, status.transfers) == (0, ())


def test_status_tells_what_runs(client: TftpServerClient, ask: Callable[[str], socket.socket]):
    client.storage.write_bytes("f", b"x" * 1000)
    client.start()
    assert fetch(client, "f") == b"x" * 1000
    ask("f")
    status = client.server_status()
    assert status.running
    assert status.url == f"tftp://127.0.0.1:{client.get_port()}/"
    assert (status.requests, status.counts) == (2, {"complete": 1, "running": 1})
    [transfer] = status.transfers
    assert (transfer.name, transfer.state, transfer.size) == ("f", State.RUNNING, 1000)
    assert status.settings["writable"] is False
    assert status.limits["transfers"] == 1000


def test_wildcard_is_told_as_an_address_that_can_be_asked(root: Path):
    with serve(Tftp(root_dir=str(root), host="0.0.0.0", port=69)) as client:  # noqa: S104 - as users do
        assert isinstance(client, TftpServerClient)
        status = client.server_status()
        assert status.host == "0.0.0.0"  # noqa: S104 - as users do
        assert status.url.startswith("tftp://")
        assert "0.0.0.0" not in status.url  # noqa: S104 - as users do


def test_transfers_that_are_known(client: TftpServerClient):
    client.start()
    client.storage.write_bytes("f", b"x")
    fetch(client, "f")
    fetch(client, "f")
    known = list(client.transfers(follow=False))
    assert [report.number for report in known] == [1, 2]
    assert all(report.rtt is not None and report.rtt < PATIENCE for report in known)
    client.stop()
    known = list(client.transfers())
    assert [(report.number, report.state) for report in known] == [
        (1, State.COMPLETE),
        (2, State.COMPLETE),
    ]
    client.start()
    assert list(client.transfers(follow=False)) == []


def test_transfers_are_followed_until_the_server_stops(
    client: TftpServerClient, ask: Callable[[str], socket.socket], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(driver_module, "STOP_SECONDS", 0.0)
    client.storage.write_bytes("f", b"x" * 1000)
    client.start()
    ask("f")
    reports = client.transfers()
    first = next(reports)
    assert (first.number, first.state) == (1, State.RUNNING)
    fetch(client, "f")
    seen: dict[int, Report] = {}
    for report in reports:
        seen[report.number] = report
        if report.number == 2 and report.state is State.COMPLETE:
            break
    client.stop()
    for report in reports:
        seen[report.number] = report
    assert {number: report.state for number, report in seen.items()} == {
        1: State.FAILED,
        2: State.COMPLETE,
    }
    assert seen[1].text == "Server is stopping"


def test_closing_the_stream_of_transfers_frees_all(client: TftpServerClient, driver: Tftp):
    client.start()
    client.storage.write_bytes("f", b"x")
    fetch(client, "f")
    server = driver.server
    assert server is not None
    threads = threading.active_count()
    for _ in range(20):
        reports = client.transfers()
        assert next(reports).number == 1
        reports.close()
    # Its end crosses two event loops; the server's own list tells when it is there.
    deadline = threading.Event()
    for _ in range(100):
        if not server._journal._watchers:  # pyright: ignore[reportPrivateUsage]
            break
        deadline.wait(0.05)
    assert not server._journal._watchers  # pyright: ignore[reportPrivateUsage]
    assert threading.active_count() <= threads + 1
    assert fetch(client, "f") == b"x"


def test_session_may_end_while_transfers_are_followed(driver: Tftp):
    with serve(driver) as client:
        assert isinstance(client, TftpServerClient)
        client.start()
        client.storage.write_bytes("f", b"x")
        fetch(client, "f")
        reports = client.transfers()
        assert next(reports).number == 1
    reports.close()


def test_stop_lets_a_transfer_end(client: TftpServerClient, ask: Callable[[str], socket.socket]):
    client.storage.write_bytes("f", b"x" * 1000)
    client.start()
    sock = ask("f")
    stopping = threading.Thread(target=client.stop)
    stopping.start()
    sock.send(b"\0\4\0\1")
    assert sock.recv(1000) == b"\0\3\0\2" + b"x" * 488
    sock.send(b"\0\4\0\2")
    stopping.join(3)
    assert not stopping.is_alive(), "it ends when the last transfer has"
    assert [report.state for report in client.transfers()] == [State.COMPLETE]


def test_stop_ends_a_transfer_that_takes_too_long(
    client: TftpServerClient, ask: Callable[[str], socket.socket], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(driver_module, "STOP_SECONDS", 0.1)
    client.storage.write_bytes("f", b"x" * 1000)
    client.start()
    sock = ask("f")
    client.stop()
    while (datagram := sock.recv(1000))[:2] == b"\0\3":
        pass
    assert datagram == b"\0\5\0\0Server is stopping\0"


def test_commands_for_files(client: TftpServerClient, image: Path, tmp_path: Path):
    other = tmp_path / "other"
    other.write_bytes(b"12345")
    assert printed(client, "put", str(image), str(other)) == (
        "boot.img: 97.7 KiB, verified\nother: 5 bytes, verified\n"
    )
    assert printed(client, "put", str(other), "--as", "a/b") == "a/b: 5 bytes, verified\n"
    assert printed(client, "ls").split() == ["5", "a/b", "100000", "boot.img", "5", "other"]
    assert printed(client, "ls", "-o", "name").split() == ["a/b", "boot.img", "other"]
    listed = [{"name": "a/b", "size": 5}]
    assert json.loads(printed(client, "ls", "a", "-o", "json")) == listed
    assert yaml.safe_load(printed(client, "ls", "a", "-o", "yaml")) == listed
    copy = tmp_path / "copy"
    assert printed(client, "get", "a/b", str(copy)) == "a/b: 5 bytes, verified\n"
    assert copy.read_bytes() == b"12345"
    assert printed(client, "rm", "a/b", "other") == ""
    assert printed(client, "ls", "-o", "name").split() == ["boot.img"]


def test_wrong_use_of_put(client: TftpServerClient, image: Path):
    result = run(client, "put", str(image), str(image), "--as", "x")
    assert result.exit_code == 2
    assert "--as names one file, and several were given" in result.output
    assert run(client, "put").exit_code == 2


def test_status_command(client: TftpServerClient):
    lines = printed(client, "status").splitlines()
    assert lines[:2] == ["stopped; would serve tftp://127.0.0.1:0/", "requests: 0"]
    assert "writable: false" in lines
    client.start()
    client.storage.write_bytes("f", b"x")
    fetch(client, "f")
    lines = printed(client, "status").splitlines()
    assert lines[0] == f"serves tftp://127.0.0.1:{client.get_port()}/"
    assert lines[1] == "requests: 1 (latest: 1 complete)"
    for form, load in (("json", json.loads), ("yaml", yaml.safe_load)):
        status = load(printed(client, "status", "-o", form))
        assert (status["running"], status["port"]) == (True, client.get_port())


def test_transfers_command(client: TftpServerClient):
    assert printed(client, "transfers") == "No request has come.\n"
    client.start()
    client.storage.write_bytes("f", b"x")
    fetch(client, "f")
    heading, line = printed(client, "transfers").splitlines()
    assert heading.split()[:3] == ["TIME", "CLIENT", "DOES"]
    assert "complete" in line
    assert line.endswith("f     blksize=1428")
    [line] = printed(client, "transfers", "-o", "json").splitlines()
    assert Report.from_json(json.loads(line)).name == "f"


def test_transfers_command_follows(client: TftpServerClient):
    client.start()
    client.storage.write_bytes("f", b"x")
    fetch(client, "f")
    watching = client.transfers
    stopping: list[threading.Thread] = []

    def watched(*, follow: bool = True) -> Generator[Report]:
        """Stop the server once the known request is told."""
        reports = watching(follow=follow)
        yield from islice(reports, 1)
        stopping.append(threading.Thread(target=client.stop))
        stopping[0].start()
        yield from reports

    client.transfers = watched
    result = run(client, "transfers", "--follow")
    stopping[0].join(PATIENCE)
    assert result.exit_code == 0
    heading, line = result.stdout.splitlines()
    assert heading.startswith("TIME ")
    assert " complete " in line
    assert result.stderr == "The server does not run.\n"


def test_storage_commands_stay(client: TftpServerClient):
    assert "write-from-path" in printed(client, "storage", "--help")
    assert "doctor" in printed(client, "--help")
