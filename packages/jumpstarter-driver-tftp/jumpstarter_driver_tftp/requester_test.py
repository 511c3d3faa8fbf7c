"""Our own client against our own server, and against one that misbehaves."""

import asyncio
import io
import os
import socket
from collections.abc import Callable, Generator
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from jumpstarter_driver_tftp.conftest import PATIENCE
from jumpstarter_driver_tftp.errors import TransferError
from jumpstarter_driver_tftp.options import Offer, Terms, negotiate
from jumpstarter_driver_tftp.packet import (
    Ack,
    Data,
    Error,
    Oack,
    Packet,
    Request,
    TftpErrorCode,
    parse,
)
from jumpstarter_driver_tftp.requester import Location, Wishes, get, parse_url, put
from jumpstarter_driver_tftp.server import TftpServer
from jumpstarter_driver_tftp.transfer import Command, Receiver, Send, Write


def fetch(location: Location, wishes: Wishes) -> bytes:
    return b"".join(piece.data for piece in get(location, wishes))


@pytest.mark.parametrize("size", [0, 1, 8, 512, 1024, 100_000])
@pytest.mark.parametrize(
    "wishes",
    [
        pytest.param(Wishes(), id="no options"),
        pytest.param(Wishes(blksize=1428, tsize=True), id="blksize and tsize"),
        pytest.param(Wishes(blksize=8, windowsize=64), id="small blocks, large window"),
        pytest.param(Wishes(blksize=65464, windowsize=4, timeout=3), id="large blocks"),
        pytest.param(Wishes(mode="netascii", blksize=100), id="netascii"),
    ],
)
async def test_file_is_read(root: Path, wishes: Wishes, size: int):
    content = os.urandom(size)
    (root / "file").write_bytes(content)
    async with TftpServer("127.0.0.1", 0, root).running() as (host, port):
        location = Location(host, port, "file")
        assert await to_thread.run_sync(fetch, location, wishes) == content


async def test_size_is_told(root: Path):
    async with TftpServer("127.0.0.1", 0, root).running() as (host, port):
        location = Location(host, port, "boot.img")
        pieces = await to_thread.run_sync(lambda: list(get(location, Wishes(tsize=True))))
    assert {piece.total for piece in pieces} == {1280}


async def test_ipv6(root: Path):
    async with TftpServer("::1", 0, root).running() as (host, port):
        location = Location(host, port, "pxe/boot.img")
        assert await to_thread.run_sync(fetch, location, Wishes()) == b"in a sub-directory"


async def test_missing_file_is_named(root: Path):
    async with TftpServer("127.0.0.1", 0, root).running() as (host, port):
        location = Location(host, port, "missing")
        with pytest.raises(TransferError) as caught:
            await to_thread.run_sync(fetch, location, Wishes())
    assert str(caught.value) == f"tftp://127.0.0.1:{port}/missing: File not found (TFTP error 1)"


async def test_write_is_refused(root: Path):
    async with TftpServer("127.0.0.1", 0, root).running() as (host, port):
        location = Location(host, port, "new")
        with pytest.raises(TransferError, match=r"Writing is not allowed \(TFTP error 2\)"):
            await to_thread.run_sync(lambda: list(put(location, Wishes(), io.BytesIO(), 0)))


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_closed_port_is_told_at_once(family: socket.AddressFamily, host: str):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        port = sock.getsockname()[1]
    with pytest.raises(TransferError, match=f":{port}/x: nothing listens on this port"):
        fetch(Location(host, port, "x"), Wishes())


def test_unknown_host_is_named():
    with pytest.raises(TransferError, match=r"nowhere\.invalid"):
        fetch(Location("nowhere.invalid", 69, "x"), Wishes())


class Script:
    """A server that does what a test says, packet by packet."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.client = ("", 0)

    async def receive(self) -> Packet:
        loop = asyncio.get_running_loop()
        with anyio.fail_after(PATIENCE):
            datagram, self.client = await loop.sock_recvfrom(self.socket, 65535)
        return parse(datagram)

    async def send(self, packet: Packet) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendto(self.socket, packet.encode(), self.client)


@pytest.fixture
def bind() -> Generator[Callable[[], Script]]:
    sockets: list[socket.socket] = []

    def make() -> Script:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sockets.append(sock)
        sock.settimeout(0)
        sock.bind(("127.0.0.1", 0))
        return Script(sock)

    yield make
    for sock in sockets:
        sock.close()


async def test_wrong_port_gets_error_5_and_disturbs_nothing(bind: Callable[[], Script]):
    server, stranger = bind(), bind()
    fetched: list[bytes] = []

    async def client() -> None:
        location = Location("127.0.0.1", server.socket.getsockname()[1], "f")
        fetched.append(await to_thread.run_sync(fetch, location, Wishes()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client)
        assert isinstance(await server.receive(), Request)
        await server.send(Data(1, b"x" * 512))
        assert await server.receive() == Ack(1)
        stranger.client = server.client
        await stranger.send(Data(2, b"false"))
        assert await stranger.receive() == Error(TftpErrorCode.UNKNOWN_TID, "Unknown transfer ID")
        await stranger.send(Error(0, "false"))
        await server.send(Data(2, b"true"))
        assert await server.receive() == Ack(2)
    assert fetched == [b"x" * 512 + b"true"]


async def test_reader_that_stops_tells_the_server(bind: Callable[[], Script]):
    server = bind()

    def first_piece(location: Location) -> bytes:
        pieces = get(location, Wishes())
        try:
            return next(pieces).data
        finally:
            pieces.close()

    async def client() -> None:
        location = Location("127.0.0.1", server.socket.getsockname()[1], "f")
        assert await to_thread.run_sync(first_piece, location) == b"x" * 512

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client)
        await server.receive()
        await server.send(Data(1, b"x" * 512))
        assert await server.receive() == Error(0, "Client gave up")


async def test_silent_server_is_asked_again(bind: Callable[[], Script]):
    server = bind()

    async def client() -> None:
        location = Location("127.0.0.1", server.socket.getsockname()[1], "f")
        assert await to_thread.run_sync(fetch, location, Wishes()) == b"late"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client)
        request = await server.receive()
        assert await server.receive() == request
        await server.send(Data(1, b"late"))


async def take(server: Script) -> tuple[Request, bytes]:
    """Accept one written file, with the receiving machine."""
    request = await server.receive()
    assert isinstance(request, Request)
    terms, answer = negotiate(request.options, Offer(Terms(), size=None))
    opening = Oack(answer).encode() if answer else Ack(0).encode()
    machine = Receiver(terms, tries=1, opening=opening)
    content = b""
    commands: list[Command] = machine.start(0.0)
    while machine.deadline() is not None or commands:
        for command in commands:
            if isinstance(command, Send):
                await server.send(parse(command.datagram))
            elif isinstance(command, Write):
                content += command.data
                if command.last:
                    await server.send(Ack(machine.acknowledged_blocks))
                    return request, content
        commands = machine.receive((await server.receive()).encode(), 0.0)
    raise AssertionError("the file did not end")


@pytest.mark.parametrize("size", [0, 512, 100_000])
@pytest.mark.parametrize(
    "wishes", [Wishes(), Wishes(blksize=1428), Wishes(blksize=500, windowsize=8, tsize=True)]
)
async def test_file_is_written(bind: Callable[[], Script], wishes: Wishes, size: int):
    server = bind()
    content = os.urandom(size)
    arrived: list[int] = []
    taken: list[tuple[Request, bytes]] = []

    def send(location: Location) -> None:
        arrived.extend(put(location, wishes, io.BytesIO(content), size))

    async with anyio.create_task_group() as tasks:
        location = Location("127.0.0.1", server.socket.getsockname()[1], "f")
        tasks.start_soon(to_thread.run_sync, send, location)
        taken.append(await take(server))
    [(request, received)] = taken
    assert received == content
    assert (("tsize", str(size)) in request.options) == wishes.tsize
    assert arrived == sorted(arrived)
    assert arrived[-1] == size


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("tftp://host/file", Location("host", 69, "file")),
        ("tftp://host:6969/a/b", Location("host", 6969, "a/b")),
        ("tftp://[::1]:70/a%20b", Location("::1", 70, "a b")),
        ("tftp://host//abs", Location("host", 69, "/abs")),
    ],
)
def test_url(url: str, location: Location):
    assert parse_url(url) == location


@pytest.mark.parametrize(
    "url", ["file", "http://host/file", "tftp://host", "tftp://host/", "tftp:///f", "tftp://h:x/f"]
)
def test_url_of_another_form(url: str):
    with pytest.raises(ValueError, match=r"\w"):
        parse_url(url)
