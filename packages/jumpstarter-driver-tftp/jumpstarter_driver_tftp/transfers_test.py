"""Many transfers at once, too many of them, and how they end together."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import cached_property
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from jumpstarter_driver_tftp.conftest import PATIENCE, Peer, serving
from jumpstarter_driver_tftp.limits import Limits
from jumpstarter_driver_tftp.packet import Ack, Data, Error, Opcode, Request
from jumpstarter_driver_tftp.reports import State
from jumpstarter_driver_tftp.server import TftpErrorCode, TftpServer
from jumpstarter_driver_tftp.transfers import Transfer

BUSY = Error(TftpErrorCode.NOT_DEFINED, "Server is busy")
STOPPING = Error(TftpErrorCode.NOT_DEFINED, "Server is stopping")
CONTENT = bytes(range(256)) * 5
REQUEST = Request(Opcode.RRQ, "boot.img", "octet").encode()


class Watched(TftpServer):
    """A server that tells when a transfer has ended."""

    @cached_property
    def ended(self) -> anyio.Event:
        return anyio.Event()

    def unregister_transfer(self, transfer: Transfer) -> None:
        super().unregister_transfer(transfer)
        self.ended.set()


def serve_within(root: Path, limits: Limits) -> TftpServer:
    return TftpServer("0.0.0.0", 0, root, timeout=60.0, limits=limits)  # noqa: S104 - a lab of addresses


@contextmanager
def peers(server: TftpServer, count: int, host: str = "127.0.0.1") -> Generator[list[Peer]]:
    """Return clients of a running server, all at one address."""
    with ExitStack() as stack:
        made: list[Peer] = []
        for _ in range(count):
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.settimeout(0)
            sock.bind((host, 0))
            peer = Peer(sock)
            assert server.address is not None
            peer.server = "127.0.0.1", server.address[1]
            made.append(peer)
        yield made


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@asynccontextmanager
async def stopping(server: TftpServer, grace: float) -> AsyncGenerator[None]:
    """Run what follows while a server stops, and until it has stopped."""
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.stop, grace)
            await anyio.wait_all_tasks_blocked()
            yield


async def test_transfer_may_end_while_the_server_stops(server: TftpServer, peer: Peer):
    async with serving(server, peer):
        first = await peer.read("boot.img")
        async with stopping(server, grace=60.0):
            assert not server.shutdown_event.is_set()
            assert await peer.fetch(first) == CONTENT
        assert server.shutdown_event.is_set()
        assert [report.state for report in server.reports()] == [State.COMPLETE]


async def test_no_new_request_is_taken_while_the_server_stops(server: TftpServer, peer: Peer):
    async with serving(server, peer):
        first = await peer.read("boot.img")
        with peers(server, 1) as [late]:
            async with stopping(server, grace=60.0):
                await late.send(REQUEST, late.server)
                assert await peer.fetch(first) == CONTENT
            assert late.nothing_waits()


async def test_client_is_told_when_the_grace_is_over(server: TftpServer, peer: Peer):
    async with serving(server, peer), server.watch() as reports:
        await peer.read("boot.img")
        with anyio.fail_after(PATIENCE):
            await server.stop(grace=0.01)
            assert await peer.receive() == STOPPING
            while (report := await anext(reports)).state is State.RUNNING:
                pass
        assert (report.state, report.text) == (State.FAILED, "Server is stopping")
        assert not server.active_transfers


async def test_idle_server_stops_at_once(server: TftpServer):
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.start)
            await server.ready_event.wait()
            await server.stop(grace=60.0)


async def test_server_can_run_again_after_a_stop(root: Path, peer: Peer):
    server = TftpServer("127.0.0.1", 0, root)
    async with serving(server, peer):
        await server.stop(grace=0.0)
    server.shutdown_event.clear()
    async with serving(server, peer):
        assert await peer.fetch(await peer.read("boot.img")) == CONTENT


async def test_client_with_too_many_transfers_is_told_and_others_are_served(root: Path):
    server = Watched("0.0.0.0", 0, root, limits=Limits(transfers=4, transfers_per_client=2))  # noqa: S104 - a lab of addresses
    async with server.running():
        with peers(server, 3) as ours, peers(server, 1, "127.0.0.9") as [other]:
            for peer in ours[:2]:
                await peer.read("boot.img")
                await peer.answer(Ack(1))
            assert await ours[2].read("boot.img") == BUSY
            assert await other.fetch(await other.read("boot.img")) == CONTENT
            await ours[0].send(Error(0, "enough").encode())
            with anyio.fail_after(PATIENCE):
                await server.ended.wait()
            assert await ours[2].fetch(await ours[2].read("boot.img")) == CONTENT


async def test_too_many_transfers_of_all_clients(root: Path):
    server = serve_within(root, Limits(transfers=1))
    async with server.running():
        with peers(server, 1) as [first], peers(server, 1, "127.0.0.9") as [second]:
            await first.read("boot.img")
            await first.answer(Ack(1))
            assert await second.read("boot.img") == BUSY
            assert server.reports()[-1].text == "Server is busy"


async def test_transfer_whose_client_never_answered_makes_room(root: Path):
    server = serve_within(root, Limits(transfers_per_client=2))
    async with server.running():
        with peers(server, 4) as ours:
            for peer in ours:
                assert isinstance(await peer.read("boot.img"), Data)
            assert await ours[3].fetch(Data(1, CONTENT[:512])) == CONTENT
        states = {report.number: report.state for report in server.reports()}
    assert states[1] is states[2] is State.SILENT


async def test_too_many_requests_are_not_answered_and_logged_once(
    root: Path, peer: Peer, caplog: pytest.LogCaptureFixture
):
    server = serve_within(root, Limits(requests_per_second=0.001, burst=2))
    async with server.running() as (_, port):
        peer.server = "127.0.0.1", port
        for _ in range(2):
            assert isinstance(await peer.read("missing"), Error)
        for datagram in (REQUEST, b"", REQUEST, b"\0\7xx"):
            await peer.send(datagram, peer.server)
        with peers(server, 1, "127.0.0.9") as [other]:
            # Datagrams of one socket are served in order, so an answer would come first.
            assert await other.fetch(await other.read("boot.img")) == CONTENT
        assert peer.nothing_waits()
    assert caplog.text.count("too many requests") == 1


async def test_transfer_is_not_counted_as_requests(root: Path, peer: Peer):
    limits = Limits(requests_per_second=0.001, burst=1)
    server = TftpServer("127.0.0.1", 0, root, single_port=True, limits=limits)
    async with serving(server, peer):
        assert await peer.fetch(await peer.read("boot.img")) == CONTENT


async def test_abandoned_requests_leave_nothing(root: Path, peer: Peer):
    server = TftpServer("127.0.0.1", 0, root, timeout=0.05, retries=2)
    count = 300
    async with serving(server, peer), server.watch() as reports:
        files, tasks = open_files(), len(asyncio.all_tasks())
        with peers(server, count) as clients:
            for client in clients:
                await client.send(REQUEST, peer.server)
            with anyio.fail_after(PATIENCE):
                ended = 0
                while ended < count:
                    report = await anext(reports)
                    ended += report.state is not State.RUNNING
        assert not server.active_transfers
        with anyio.fail_after(PATIENCE):
            # The last report comes just before its task has ended.
            while len(asyncio.all_tasks()) > tasks:
                await anyio.lowlevel.checkpoint()
        assert open_files() == files
        assert await peer.fetch(await peer.read("boot.img")) == CONTENT


async def test_abandoned_requests_do_not_keep_the_next_waiting(root: Path, peer: Peer):
    server = TftpServer("127.0.0.1", 0, root, limits=Limits(transfers_per_client=20))
    async with serving(server, peer):
        with peers(server, 200) as clients:
            for client in clients:
                assert isinstance(await client.read("boot.img"), Data)
            assert await peer.fetch(await peer.read("boot.img")) == CONTENT
        assert len(server.active_transfers) <= 20
