"""Transfers over the one port that requests come to."""

import socket
from collections.abc import Generator
from pathlib import Path

import anyio
import pytest

from jumpstarter_driver_tftp.conftest import PATIENCE, Peer, serving
from jumpstarter_driver_tftp.packet import Ack, Data, Error, Opcode, Request
from jumpstarter_driver_tftp.reports import State
from jumpstarter_driver_tftp.server import TftpErrorCode, TftpServer

CONTENT = bytes(range(256)) * 5
UNKNOWN = Error(TftpErrorCode.UNKNOWN_TID, "Unknown transfer ID")


@pytest.fixture
def single(root: Path) -> TftpServer:
    return TftpServer("127.0.0.1", 0, root, timeout=60.0, single_port=True)


@pytest.fixture
def other() -> Generator[Peer]:
    """Return a second client."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0)
        yield Peer(sock)


async def test_all_packets_use_one_port(single: TftpServer, peer: Peer):
    async with serving(single, peer):
        packet = await peer.read("boot.img", ("blksize", "100"), ("windowsize", "2"))
        assert peer.transfer == peer.server
        for number in range(0, 12, 2):
            await peer.send(Ack(number).encode())
            assert [await peer.receive(), await peer.receive()] == [
                Data(number + 1, CONTENT[number * 100 :][:100]),
                Data(number + 2, CONTENT[number * 100 + 100 :][:100]),
            ]
            assert peer.transfer == peer.server
        packet = await peer.answer(Ack(12))
        assert packet == Data(13, CONTENT[1200:])


async def test_clients_are_told_apart_by_their_ports(single: TftpServer, peer: Peer, other: Peer):
    async with serving(single, peer):
        other.server = peer.server
        first = await peer.read("boot.img")
        second = await other.read("pxe/boot.img")
        assert await peer.fetch(first) == CONTENT
        assert await other.fetch(second) == b"in a sub-directory"


async def test_packet_of_no_transfer_gets_error_5(single: TftpServer, peer: Peer, other: Peer):
    async with serving(single, peer):
        other.server = peer.server
        first = await peer.read("boot.img")
        for datagram in (Ack(1).encode(), Data(1, b"x").encode(), b"\0\11abc", b""):
            assert await other.ask(datagram) == UNKNOWN
        await other.send(Error(0, "no").encode(), other.server)
        assert await peer.fetch(first) == CONTENT
        assert other.nothing_waits()


async def test_new_request_replaces_the_old_transfer(single: TftpServer, peer: Peer):
    async with serving(single, peer), single.watch() as reports:
        await peer.read("boot.img")
        await peer.answer(Ack(1))
        assert await peer.fetch(await peer.read("pxe/boot.img")) == b"in a sub-directory"
        ended: list[State] = []
        with anyio.fail_after(PATIENCE):
            while len(ended) < 2:
                report = await anext(reports)
                if report.state is not State.RUNNING:
                    ended.append(report.state)
        assert ended == [State.GONE, State.COMPLETE]
        assert peer.nothing_waits()


async def test_silence_is_answered_by_the_timer(root: Path, peer: Peer):
    server = TftpServer("127.0.0.1", 0, root, timeout=0.02, retries=3, single_port=True)
    async with serving(server, peer):
        first = await peer.read("boot.img")
        assert [await peer.receive(), await peer.receive()] == [first, first]


async def test_transfer_goes_on_while_the_server_stops(single: TftpServer, peer: Peer):
    async with serving(single, peer):
        first = await peer.read("boot.img")
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(single.stop, 60.0)
                await anyio.wait_all_tasks_blocked()
                assert await peer.fetch(first) == CONTENT
        assert [report.state for report in single.reports()] == [State.COMPLETE]


@pytest.mark.parametrize("asked", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - this is the case
async def test_packets_leave_from_the_address_that_was_asked(
    root: Path, peer: Peer, host: str, asked: str
):
    async with TftpServer(host, 0, root, single_port=True).running() as (_, port):
        peer.server = (asked, port)
        packet = await peer.read("boot.img")
        assert peer.transfer == peer.server
        assert await peer.fetch(packet) == CONTENT
        assert peer.transfer == peer.server


async def test_ipv6(root: Path):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0)
        peer = Peer(sock)
        async with TftpServer("::", 0, root, single_port=True).running() as (_, port):
            peer.server = ("::1", port)
            assert await peer.fetch(await peer.read("boot.img")) == CONTENT


async def test_many_large_blocks(single: TftpServer, peer: Peer, root: Path):
    content = bytes(range(256)) * 4000
    (root / "large").write_bytes(content)
    async with serving(single, peer):
        await peer.read("large", ("blksize", "65464"))
        assert await peer.fetch(await peer.answer(Ack(0)), 65464) == content


async def test_request_that_is_longer_than_any_is_malformed(single: TftpServer, peer: Peer):
    async with serving(single, peer):
        request = Request(Opcode.RRQ, "x" * 5000, "octet").encode()
        assert await peer.ask(request) == Error(4, "Malformed packet")
