"""Fixtures of the TFTP tests: a client's bare socket, and programs of others."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from opendal import AsyncOperator

from jumpstarter_driver_tftp.packet import Ack, Data, Opcode, Packet, Request, parse
from jumpstarter_driver_tftp.server import TftpServer

PATIENCE = 10.0
"""Seconds after which something that must happen has not."""


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
        """Acknowledge block by block, from `packet` on, and return the file."""
        content = b""
        expected = 1
        while True:
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


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], str]:
    """Return the path of a program, after installing its Debian package if need be."""

    def find(name: str, package: str) -> str:
        path = shutil.which(name)
        if path is None:
            install(package)
            path = shutil.which(name)
        assert path is not None, f"{name}: missing after `apt-get install {package}`"
        return path

    return find


def install(package: str) -> None:
    """Install a Debian package, as root or through sudo."""
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", package]):
        done = subprocess.run([*prefix, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
