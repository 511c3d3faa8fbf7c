"""Fixtures of the TFTP tests: a client's bare socket, and programs of others."""

import asyncio
import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import anyio
import pytest
from opendal import AsyncOperator

from jumpstarter_driver_tftp.packet import Ack, Data, Opcode, Packet, Request, parse
from jumpstarter_driver_tftp.server import TftpServer

PATIENCE = 10.0
"""Seconds after which something that must happen has not."""

AS_ROOT = () if os.geteuid() == 0 else ("sudo", "-n")
DIRECTORIES = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Peer:
    """A client that knows nothing but its socket: tests say what it sends, and see what came."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.server: tuple[str, int] = ("", 0)
        self.transfer: tuple[str, int] = ("", 0)

    async def send(self, datagram: bytes, to: tuple[str, int] | None = None) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendto(self.socket, datagram, to or self.transfer)

    async def receive(self) -> Packet:
        """Return the next packet; where it came from becomes the transfer's address."""
        loop = asyncio.get_running_loop()
        with anyio.fail_after(PATIENCE):
            datagram, self.transfer = await loop.sock_recvfrom(self.socket, 65535)
        return parse(datagram)

    async def ask(self, datagram: bytes) -> Packet:
        """Send to the server's own port, and return what comes back."""
        await self.send(datagram, self.server)
        return await self.receive()

    async def read(self, name: str, *options: tuple[str, str], mode: str = "octet") -> Packet:
        """Send a read request, and return what comes back."""
        return await self.ask(Request(Opcode.RRQ, name, mode, options).encode())

    async def answer(self, packet: Packet) -> Packet:
        """Send to the transfer's port, and return what comes back."""
        await self.send(packet.encode())
        return await self.receive()

    async def fetch(self, packet: Packet, size: int = 512) -> bytes:
        """Acknowledge block by block, from `packet` on, and return the file.

        A block that comes again is passed over, as a client does: this one may be slow for a while.
        """
        content = b""
        expected = 1
        while True:
            while isinstance(packet, Data) and packet.block == (expected - 1) & 0xFFFF:
                packet = await self.receive()
            assert isinstance(packet, Data), packet
            assert packet.block == expected & 0xFFFF
            content += packet.data
            if len(packet.data) < size:
                await self.send(Ack(packet.block).encode())
                return content
            packet = await self.answer(Ack(packet.block))
            expected += 1

    def nothing_waits(self) -> bool:
        """Tell whether nothing is there to be read."""
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        return False


@pytest.fixture
def peer() -> Generator[Peer]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0)
        sock.bind(("127.0.0.1", 0))
        yield Peer(sock)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a directory to serve, beside a file that must never be served."""
    (tmp_path / "secret").write_bytes(b"outside")
    root = tmp_path / "root"
    (root / "pxe").mkdir(parents=True)
    (root / "boot.img").write_bytes(bytes(range(256)) * 5)
    (root / "pxe" / "boot.img").write_bytes(b"in a sub-directory")
    return root


@pytest.fixture
def server(root: Path) -> TftpServer:
    return TftpServer("127.0.0.1", 0, AsyncOperator("fs", root=str(root)))


@asynccontextmanager
async def serving(server: TftpServer, peer: Peer) -> AsyncGenerator[TftpServer]:
    """Run a server that `peer` talks to."""
    async with server.running() as peer.server:
        yield server


class Writable(Protocol):
    """What a test does with a store; opendal's own annotations are incomplete."""

    async def write(self, path: str, bs: bytes) -> None: ...


async def write(store: Writable, name: str, content: bytes) -> None:
    """Put a file into a store."""
    await store.write(name, content)


Find = Callable[[str, str], str]
"""Returns the path of a program; takes its name, and its Debian package."""

DAEMONS = Path(__file__).resolve().parents[3] / "tools" / "daemons.py"


@pytest.fixture(scope="session")
def program() -> Find:
    """Return the path of a program, after installing its Debian package if need be."""

    def find(name: str, package: str) -> str:
        path = shutil.which(name, path=DIRECTORIES)
        if path is None:
            run_or_fail(*AS_ROOT, "apt-get", "update")
            run_or_fail(*AS_ROOT, "apt-get", "install", "-y", "--no-install-recommends", package)
            path = shutil.which(name, path=DIRECTORIES)
        assert path is not None, f"{name}: missing after `apt-get install {package}`"
        return path

    return find


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Find:
    """Return the path of a daemon that is unpacked where it is missing: installed, it would run.

    The repository keeps such daemons; away from it, one is unpacked for this run.
    """

    def find(name: str, package: str) -> str:
        if path := shutil.which(name, path=DIRECTORIES):
            return path
        if DAEMONS.exists():
            return run_or_fail(sys.executable, str(DAEMONS), name).strip()
        scratch = tmp_path_factory.mktemp(package)
        run_or_fail(*AS_ROOT, "apt-get", "update")
        run_or_fail("apt-get", "-o", "APT::Sandbox::User=root", "download", package, cwd=scratch)
        [archive] = map(str, scratch.glob("*.deb"))
        needed = run_or_fail("dpkg-deb", "--field", archive, "Depends").strip()
        run_or_fail(*AS_ROOT, "apt-get", "-y", "--no-install-recommends", "satisfy", needed)
        run_or_fail("dpkg-deb", "--extract", archive, str(scratch))
        return str(scratch / "usr" / "sbin" / name)

    return find


def run_or_fail(*command: str, cwd: Path | None = None) -> str:
    """Run a program that must succeed, and return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
    return done.stdout


async def run(*command: str) -> tuple[int, str]:
    """Run a program; return its exit code and all that it said."""
    done = await anyio.run_process(command, check=False)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


@pytest.fixture
def loopback() -> str:
    """Return an address of this machine that nobody else is likely to use."""
    return "127." + ".".join(str(random.randint(1, 254)) for _ in range(3))
