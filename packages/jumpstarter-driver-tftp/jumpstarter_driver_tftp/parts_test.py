"""Which files a client may have meant, and that it is not told of those of others."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from opendal import AsyncOperator

from jumpstarter_driver_tftp.conftest import PATIENCE, Peer, serving, write
from jumpstarter_driver_tftp.packet import Error, Opcode, Request
from jumpstarter_driver_tftp.reports import Report, State
from jumpstarter_driver_tftp.server import TftpServer
from jumpstarter_driver_tftp.serving import SEARCHES_AT_ONCE

VIEWS = {"127.0.0.1": "one"}


async def ended(reports: AsyncIterator[Report]) -> Report:
    with anyio.fail_after(PATIENCE):
        while (report := await anext(reports)).state is State.RUNNING:
            pass
    return report


@pytest.fixture
def boards(root: Path) -> Path:
    for name in ("one/Boot.scr", "two/boot.scr", "pxelinux.cfg/Default"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    return root


async def test_near_misses_are_reported_and_logged(
    boards: Path, peer: Peer, caplog: pytest.LogCaptureFixture
):
    server = TftpServer("127.0.0.1", 0, boards)
    async with serving(server, peer), server.watch() as reports:
        assert await peer.read("pxelinux.cfg/default") == Error(1, "File not found")
        assert (await ended(reports)).near == ("pxelinux.cfg/Default",)
    assert "File not found; there is 'pxelinux.cfg/Default'" in caplog.text


async def test_near_misses_of_other_views_are_not_told(boards: Path, peer: Peer):
    server = TftpServer("127.0.0.1", 0, boards, views=VIEWS)
    async with serving(server, peer), server.watch() as reports:
        await peer.read("boot.scr")
        assert (await ended(reports)).near == ("Boot.scr",)


async def test_near_misses_in_a_store(peer: Peer):
    store = AsyncOperator("memory")
    for name in ("one/Boot.scr", "two/boot.scr"):
        await write(store, name, b"x")
    server = TftpServer("127.0.0.1", 0, store, views=VIEWS)
    async with serving(server, peer), server.watch() as reports:
        await peer.read("boot.scr")
        assert (await ended(reports)).near == ("Boot.scr",)


async def test_searches_are_bounded(boards: Path, peer: Peer):
    server = TftpServer("127.0.0.1", 0, boards)
    async with serving(server, peer), server.watch() as reports:
        near: list[tuple[str, ...]] = []
        for _ in range(2 * SEARCHES_AT_ONCE):
            await peer.read("pxelinux.cfg/default")
            near.append((await ended(reports)).near)
    assert near[SEARCHES_AT_ONCE - 1]
    assert near.count(()) >= SEARCHES_AT_ONCE - 5


@pytest.mark.parametrize("datagram", [b"\0\1../Boot\0octet\0", b"\0\1\0octet\0", b"\0\4\0\0"])
async def test_nothing_else_is_searched_for(boards: Path, peer: Peer, datagram: bytes):
    server = TftpServer("127.0.0.1", 0, boards)
    async with serving(server, peer), server.watch() as reports:
        await peer.ask(datagram)
        assert (await ended(reports)).near == ()


async def test_upload_into_a_missing_directory_is_not_searched_for(boards: Path, peer: Peer):
    server = TftpServer("127.0.0.1", 0, boards, writable=True)
    async with serving(server, peer), server.watch() as reports:
        answer = await peer.ask(Request(Opcode.WRQ, "tow/boot.scr", "octet").encode())
        assert isinstance(answer, Error)
        report = await ended(reports)
    assert (report.action, report.code, report.near) == ("write", 1, ())
