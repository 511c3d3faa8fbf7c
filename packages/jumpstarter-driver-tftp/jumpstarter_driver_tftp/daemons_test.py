"""Our client gets from TFTP servers of others, and puts to them."""

import os
import random
import socket
import subprocess
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from jumpstarter_driver_tftp.__main__ import main
from jumpstarter_driver_tftp.conftest import AS_ROOT, PATIENCE, Find
from jumpstarter_driver_tftp.programs_test import SENT, SIZES, TEXT

PORT = 69
"""The one port that each of them can use; each has an address of its own."""
OPTIONS = {
    "plain": [],
    "tsize": ["--tsize"],
    "1428": ["--blksize=1428", "--timeout=2"],
    "65464": ["--blksize=65464", "--windowsize=4", "--tsize"],
    "all": ["--blksize=1428", "--windowsize=16", "--timeout=2", "--tsize"],
}


@dataclass(frozen=True)
class Daemon:
    """A server of others that runs: its process, where it is, and where its files are."""

    process: subprocess.Popen[bytes]
    host: str
    root: Path

    def url(self, name: str) -> str:
        """Return what our client calls one of its files."""
        return f"tftp://{self.host}:{PORT}/{name}"

    def stored(self, name: str, size: int) -> bytes:
        """Return a file that was put; the last block may be acknowledged before it is there."""
        for _ in range(int(PATIENCE / 0.01)):
            with suppress(FileNotFoundError):
                content = (self.root / name).read_bytes()
                if len(content) >= size:
                    return content
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.01)
        raise AssertionError(f"{name} is not there, or not whole")


COMMANDS = {
    "tftpd-hpa": ("in.tftpd", "-L -a {host}:69 -c -p -u root -s {root}"),
    "atftpd": (
        "atftpd",
        "--daemon --no-fork --bind-address {host} --port 69 --user root.root {root}",
    ),
    "dnsmasq": (
        "dnsmasq",
        """
        --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root --group=root --port=0
        --bind-interfaces --listen-address={host} --enable-tftp --tftp-root={root}
        """,
    ),
}
WRITABLE = ["tftpd-hpa", "atftpd"]


def start(find: Find, name: str, root: Path, host: str) -> Generator[Daemon]:
    """Run one of `COMMANDS` until the generator goes on."""
    program, words = COMMANDS[name]
    path = find(program, "dnsmasq-base" if program == "dnsmasq" else name)
    argv = [*AS_ROOT, path, *words.format(host=host, root=root).split()]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            wait_ready(process, host)
            yield Daemon(process, host, root)
        finally:
            process.terminate()


def wait_ready(process: subprocess.Popen[bytes], host: str):
    """Wait until the server answers a request."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.1)
        for _ in range(int(PATIENCE / 0.1)):
            assert process.poll() is None, "the server has ended"
            sock.sendto(b"\0\1not-there\0octet\0", (host, PORT))
            with suppress(TimeoutError):
                sock.recv(512)
                return
    raise AssertionError("the server answers nothing")


@pytest.fixture(scope="module", params=COMMANDS)
def peer_daemon(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    program: Find,
    daemon: Find,
) -> Generator[Daemon]:
    name = cast("str", request.param)
    host = "127." + ".".join(str(random.randint(1, 254)) for _ in range(3))
    find = program if name == "dnsmasq" else daemon
    yield from start(find, name, tmp_path_factory.mktemp(name), host)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_get(peer_daemon: Daemon, tmp_path: Path, options: list[str], size: int):
    content = os.urandom(size)
    # A file of its own: dnsmasq takes one that it is still closing for the one asked for.
    name = f"image-{size}-{len(options)}"
    (peer_daemon.root / name).write_bytes(content)
    target = tmp_path / "fetched"
    assert main(["get", peer_daemon.url(name), "-o", str(target), *options]) == 0
    assert target.read_bytes() == content


def test_get_of_text(peer_daemon: Daemon, tmp_path: Path):
    text = TEXT.replace(b"\r", b"")
    (peer_daemon.root / "text").write_bytes(text)
    target = tmp_path / "fetched"
    assert main(["get", peer_daemon.url("text"), "-o", str(target), "--mode=netascii"]) == 0
    assert target.read_bytes() == text


def test_get_of_a_missing_file(
    peer_daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    url = peer_daemon.url("missing")
    assert main(["get", url, "-o", str(tmp_path / "fetched")]) == 1
    assert "not found" in capsys.readouterr().err
    assert not (tmp_path / "fetched").exists()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize("peer_daemon", WRITABLE, indirect=True)
def test_put(peer_daemon: Daemon, tmp_path: Path, options: list[str], size: int):
    content = os.urandom(size)
    source = tmp_path / "source"
    source.write_bytes(content)
    name = f"new-{size}-{len(options)}"
    assert main(["put", peer_daemon.url(name), "-i", str(source), *options]) == 0
    assert peer_daemon.stored(name, size) == content


@pytest.mark.parametrize("peer_daemon", WRITABLE, indirect=True)
def test_put_of_text(peer_daemon: Daemon, tmp_path: Path):
    source = tmp_path / "source"
    source.write_bytes(TEXT)
    assert main(["put", peer_daemon.url("as-text"), "-i", str(source), "--mode=netascii"]) == 0
    assert peer_daemon.stored("as-text", len(TEXT)) in {TEXT, SENT}


@pytest.mark.parametrize("peer_daemon", ["dnsmasq"], indirect=True)
def test_put_to_a_server_that_takes_nothing(
    peer_daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    source = tmp_path / "source"
    source.write_bytes(b"text")
    assert main(["put", peer_daemon.url("new"), "-i", str(source), "--timeout=1"]) == 1
    assert "Error: " in capsys.readouterr().err
    assert not (peer_daemon.root / "new").exists()
