"""What a server tells of its requests, while they run and afterwards."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from jumpstarter_driver_tftp import journal
from jumpstarter_driver_tftp.conftest import PATIENCE, Peer, serving
from jumpstarter_driver_tftp.journal import KEPT, Journal
from jumpstarter_driver_tftp.packet import Ack, Error, Opcode, Request
from jumpstarter_driver_tftp.reports import Report, State
from jumpstarter_driver_tftp.server import TftpServer
from jumpstarter_driver_tftp.sockets import Arrival
from jumpstarter_driver_tftp.transfer import Finish, Outcome

ARRIVAL = Arrival(b"", ("192.0.2.7", 2000), ("192.0.2.1", 69))
REQUEST = Request(Opcode.RRQ, "f", "octet")
COMPLETE = Finish(Outcome.COMPLETE)


async def following(reports: AsyncIterator[Report]) -> Report:
    with anyio.fail_after(PATIENCE):
        return await anext(reports)


async def ended(reports: AsyncIterator[Report]) -> Report:
    """Return the next report of a request that has ended."""
    while (report := await following(reports)).state is State.RUNNING:
        pass
    return report


async def test_transfer_is_reported_from_its_request_to_its_end(server: TftpServer, peer: Peer):
    async with serving(server, peer), server.watch() as reports:
        options = ("blksize", "1024"), ("tsize", "0"), ("x", "y")
        await peer.read("boot.img", *options)
        begun = await following(reports)
        assert (begun.number, begun.state, begun.name) == (1, State.RUNNING, "boot.img")
        assert begun.server == f"127.0.0.1:{peer.server[1]}"
        assert begun.client == f"127.0.0.1:{peer.socket.getsockname()[1]}"
        assert await peer.fetch(await peer.answer(Ack(0)), 1024) == bytes(range(256)) * 5
        report = await ended(reports)
    assert (report.number, report.state, report.code, report.text) == (1, State.COMPLETE, 0, "")
    assert (report.action, report.mode, report.asked) == ("read", "octet", options)
    assert report.granted == (("blksize", "1024"), ("tsize", "1280"))
    assert (report.size, report.done, report.blocks, report.block_size) == (1280, 1280, 2, 1024)
    assert report.heard
    assert report.began > 1e9
    assert 0 < report.seconds < PATIENCE
    assert server.reports() == [report]


async def test_running_transfer_is_reported_again_and_again(
    server: TftpServer, peer: Peer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(journal, "PROGRESS_SECONDS", 0.01)
    async with serving(server, peer), server.watch() as reports:
        await peer.read("boot.img")
        await peer.answer(Ack(1))
        with anyio.fail_after(PATIENCE):
            while (report := await anext(reports)).blocks != 1:
                assert report.state is State.RUNNING
        assert (report.done, report.size, report.heard) == (512, 1280, True)
        assert server.reports()[0].state is State.RUNNING


@pytest.mark.parametrize(
    ("datagram", "asked", "error"),
    [
        pytest.param(
            b"\0\1none\0octet\0", ("read", "none"), Error(1, "File not found"), id="missing"
        ),
        pytest.param(
            b"\0\1../x\0octet\0", ("read", "../x"), Error(2, "Access violation"), id="outside"
        ),
        pytest.param(
            b"\0\2x\0octet\0", ("write", "x"), Error(2, "Writing is not allowed"), id="write"
        ),
        pytest.param(b"\0\4\0\1", ("", ""), Error(4, "Unsupported operation"), id="no request"),
        pytest.param(b"", ("", ""), Error(4, "Malformed packet"), id="nothing"),
    ],
)
async def test_refused(
    server: TftpServer, peer: Peer, datagram: bytes, asked: tuple[str, str], error: Error
):
    async with serving(server, peer), server.watch() as reports:
        assert await peer.ask(datagram) == error
        report = await ended(reports)
    assert report.state is State.REFUSED
    assert (report.action, report.name) == asked
    assert (report.code, report.text) == (error.code, error.text)
    assert not report.heard
    assert server.reports() == [report]


async def test_client_that_ends_a_transfer(server: TftpServer, peer: Peer):
    async with serving(server, peer), server.watch() as reports:
        await peer.read("boot.img")
        await peer.send(Error(3, "no room").encode())
        report = await ended(reports)
    assert (report.state, report.code, report.text) == (State.ABORTED, 3, "no room")


async def test_client_that_falls_silent(root: Path, peer: Peer):
    server = TftpServer("127.0.0.1", 0, root, timeout=0.02, retries=2)
    async with serving(server, peer), server.watch() as reports:
        await peer.read("boot.img")
        report = await ended(reports)
    assert report.state is State.SILENT
    assert (report.done, report.resent, report.heard) == (0, 1, False)


async def test_client_that_begins_anew(server: TftpServer, peer: Peer):
    async with serving(server, peer), server.watch() as reports:
        await peer.read("boot.img")
        await peer.read("pxe/boot.img")
        report = await ended(reports)
    assert (report.number, report.state) == (1, State.GONE)


async def test_server_that_ends(server: TftpServer, peer: Peer):
    async with serving(server, peer):
        await peer.read("boot.img")
    [report] = server.reports()
    assert (report.state, report.text) == (State.FAILED, "Server is stopping")


def test_running_requests_come_first_and_only_some_that_ended_are_kept():
    kept = Journal()
    running = kept.begin(ARRIVAL, REQUEST, 0.0, 0.0)
    for number in range(KEPT + 10):
        entry = kept.begin(ARRIVAL, REQUEST, 0.0, float(number))
        kept.finish(entry, COMPLETE, number + 0.5)
    numbers = [report.number for report in kept.reports(500.0)]
    assert numbers == [running.number, *range(KEPT + 11, 11, -1)]


def test_first_end_counts():
    kept = Journal()
    entry = kept.begin(ARRIVAL, REQUEST, 0.0, 0.0)
    kept.refuse(entry, Error(1, "first"), 1.0, near=("g",))
    kept.finish(entry, COMPLETE, 2.0)
    [report] = kept.reports(3.0)
    assert (report.state, report.text, report.near) == (State.REFUSED, "first", ("g",))
    assert report.seconds == 1.0


async def test_slow_watcher_loses_progress_and_no_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(journal, "WAITING", 10)
    kept = Journal()
    async with kept.watch() as reports:
        entries = [kept.begin(ARRIVAL, REQUEST, 0.0, 0.0) for _ in range(15)]
        for entry in entries[5:]:
            kept.finish(entry, COMPLETE, 1.0)
        seen = [await following(reports) for _ in range(20)]
    assert [report.number for report in seen] == [*range(1, 11), *range(6, 16)]
    assert all(report.state is State.COMPLETE for report in seen[10:])


async def test_watchers_that_are_gone_are_forgotten(server: TftpServer, peer: Peer):
    async with serving(server, peer):
        async with server.watch(), server.watch() as second:
            await peer.read("missing")
            assert (await ended(second)).state is State.REFUSED
        await peer.read("missing")
