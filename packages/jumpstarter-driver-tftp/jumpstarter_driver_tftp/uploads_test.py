"""Files that clients write, as a client's bare socket sees it."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from opendal import AsyncOperator

from jumpstarter_driver_tftp.conftest import PATIENCE, Peer, serving, write
from jumpstarter_driver_tftp.packet import Ack, Data, Error, Oack, Opcode, Packet, Request
from jumpstarter_driver_tftp.reports import Report, State
from jumpstarter_driver_tftp.server import TftpErrorCode, TftpServer

EXISTS = Error(TftpErrorCode.FILE_EXISTS, "File already exists")
OUTSIDE = Error(TftpErrorCode.ACCESS_VIOLATION, "Access violation")
TOO_LARGE = Error(TftpErrorCode.DISK_FULL, "File is larger than 1000 bytes")


@pytest.fixture(params=[False, True], ids=["own port", "single port"])
def writable(root: Path, request: pytest.FixtureRequest) -> TftpServer:
    single_port: bool = request.param
    return TftpServer(
        "127.0.0.1", 0, root, timeout=60.0, writable=True, max_upload=1000, single_port=single_port
    )


async def ask(peer: Peer, name: str, *options: tuple[str, str], mode: str = "octet") -> Packet:
    """Send a write request, and return what comes back."""
    return await peer.ask(Request(Opcode.WRQ, name, mode, options).encode())


async def put(peer: Peer, content: bytes, size: int = 512) -> Packet:
    """Send a file block by block, and return the last answer."""
    number = 0
    while True:
        number += 1
        block = content[(number - 1) * size :][:size]
        answer = await peer.answer(Data(number & 0xFFFF, block))
        if answer != Ack(number & 0xFFFF) or len(block) < size:
            return answer


async def ended(reports: AsyncIterator[Report]) -> Report:
    with anyio.fail_after(PATIENCE):
        while (report := await anext(reports)).state is State.RUNNING:
            pass
    return report


def below(root: Path) -> set[str]:
    """Return all names below a directory, hidden ones too."""
    return {str(path.relative_to(root)) for path in root.rglob("*")}


BEFORE = {"boot.img", "pxe", "pxe/boot.img"}


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1000])
async def test_file_arrives(writable: TftpServer, peer: Peer, root: Path, size: int):
    content = os.urandom(size)
    async with serving(writable, peer), writable.watch() as reports:
        assert await ask(peer, "pxe/new") == Ack(0)
        assert await put(peer, content) == Ack(size // 512 + 1)
        assert (root / "pxe" / "new").read_bytes() == content
        report = await ended(reports)
        assert await peer.fetch(await peer.read("pxe/new")) == content
    assert below(root) == BEFORE | {"pxe/new"}
    assert (report.action, report.name, report.state) == ("write", "pxe/new", State.COMPLETE)
    assert (report.done, report.blocks, report.heard) == (size, size // 512 + 1, True)


async def test_options_are_granted(writable: TftpServer, peer: Peer, root: Path):
    async with serving(writable, peer), writable.watch() as reports:
        options = (("tsize", "900"), ("blksize", "100"), ("windowsize", "4"), ("x", "y"))
        assert await ask(peer, "new", *options) == Oack(options[:3])
        for number in range(1, 10):
            await peer.send(Data(number, b"x" * 100).encode())
        assert [await peer.receive(), await peer.receive()] == [Ack(4), Ack(8)]
        assert await peer.answer(Data(10, b"")) == Ack(10)
        assert (root / "new").read_bytes() == b"x" * 900
        report = await ended(reports)
    assert (report.granted, report.size, report.window) == (options[:3], 900, 4)


async def test_text_is_translated(writable: TftpServer, peer: Peer, root: Path):
    async with serving(writable, peer):
        assert await ask(peer, "text", mode="netascii") == Ack(0)
        assert await put(peer, b"a\r\nb\r\0c\r\n") == Ack(1)
        assert (root / "text").read_bytes() == b"a\nb\rc\n"


async def test_existing_file_is_kept(writable: TftpServer, peer: Peer, root: Path):
    async with serving(writable, peer):
        assert await ask(peer, "pxe/boot.img") == EXISTS
        assert (root / "pxe" / "boot.img").read_bytes() == b"in a sub-directory"


async def test_existing_file_is_replaced_when_that_is_allowed(root: Path, peer: Peer):
    server = TftpServer("127.0.0.1", 0, root, writable=True, overwrite=True)
    async with serving(server, peer):
        await ask(peer, "pxe/boot.img")
        assert (root / "pxe" / "boot.img").read_bytes() == b"in a sub-directory"
        await put(peer, b"new")
        assert (root / "pxe" / "boot.img").read_bytes() == b"new"


async def test_file_that_exists_when_another_is_complete(
    writable: TftpServer, peer: Peer, root: Path
):
    async with serving(writable, peer), writable.watch() as reports:
        await ask(peer, "new")
        (root / "new").write_bytes(b"first")
        assert await put(peer, b"second") == EXISTS
        report = await ended(reports)
    assert (root / "new").read_bytes() == b"first"
    assert (report.state, report.code) == (State.FAILED, TftpErrorCode.FILE_EXISTS)
    assert below(root) == BEFORE | {"new"}


@pytest.mark.parametrize("name", ["../new", "pxe/../../new", "out/new", "..\\new"])
async def test_nothing_is_written_outside(writable: TftpServer, peer: Peer, root: Path, name: str):
    (root / "out").symlink_to("..")
    async with serving(writable, peer):
        assert await ask(peer, name) == OUTSIDE
    assert not (root.parent / "new").exists()


async def test_announced_size_that_is_too_large_is_refused_at_once(
    writable: TftpServer, peer: Peer, root: Path
):
    async with serving(writable, peer):
        assert await ask(peer, "new", ("tsize", "1001")) == TOO_LARGE
        assert await ask(peer, "new", ("tsize", "1000")) == Oack((("tsize", "1000"),))
    assert below(root) == BEFORE


async def test_file_that_grows_too_large_is_an_error(writable: TftpServer, peer: Peer, root: Path):
    async with serving(writable, peer), writable.watch() as reports:
        await ask(peer, "new")
        assert await put(peer, bytes(1001)) == TOO_LARGE
        report = await ended(reports)
    assert (report.state, report.code) == (State.FAILED, TftpErrorCode.DISK_FULL)
    assert below(root) == BEFORE


async def test_client_that_gives_up_leaves_nothing(writable: TftpServer, peer: Peer, root: Path):
    async with serving(writable, peer), writable.watch() as reports:
        await ask(peer, "new")
        await peer.answer(Data(1, bytes(512)))
        await peer.send(Error(0, "enough").encode())
        report = await ended(reports)
    assert (report.state, report.done) == (State.ABORTED, 512)
    assert below(root) == BEFORE


async def test_clients_that_fall_silent_leave_nothing(root: Path, peer: Peer):
    server = TftpServer("127.0.0.1", 0, root, timeout=0.05, retries=2, writable=True)
    async with serving(server, peer), server.watch() as reports:
        files, tasks = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())
        for number in range(50):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(0)
                other = Peer(sock)
                other.server = peer.server
                assert await ask(other, str(number)) == Ack(0)
        for _ in range(50):
            await ended(reports)
        with anyio.fail_after(PATIENCE):
            # The last report comes before its task has ended.
            while len(asyncio.all_tasks()) > tasks:
                await anyio.lowlevel.checkpoint()
        assert len(os.listdir("/proc/self/fd")) == files
    assert below(root) == BEFORE


async def test_server_that_ends_tells_the_client_and_leaves_nothing(
    writable: TftpServer, peer: Peer, root: Path
):
    async with serving(writable, peer):
        await ask(peer, "new")
        await peer.answer(Data(1, bytes(512)))
    assert await peer.receive() == Error(TftpErrorCode.NOT_DEFINED, "Server is stopping")
    assert below(root) == BEFORE


async def test_new_request_replaces_an_upload(writable: TftpServer, peer: Peer, root: Path):
    async with serving(writable, peer), writable.watch() as reports:
        await ask(peer, "new")
        await peer.answer(Data(1, bytes(512)))
        await ask(peer, "other")
        assert await put(peer, b"x") == Ack(1)
        assert {(await ended(reports)).state for _ in range(2)} == {State.GONE, State.COMPLETE}
    assert below(root) == BEFORE | {"other"}


async def test_last_ack_is_repeated_until_the_client_asks_for_more(
    writable: TftpServer, peer: Peer, root: Path
):
    async with serving(writable, peer):
        await ask(peer, "new")
        last = Data(1, b"x")
        assert [await peer.answer(last), await peer.answer(last)] == [Ack(1), Ack(1)]
        assert await peer.fetch(await peer.read("new")) == b"x"
        assert (root / "new").read_bytes() == b"x"


async def test_complete_upload_does_not_keep_a_server_from_stopping(
    writable: TftpServer, peer: Peer
):
    async with serving(writable, peer):
        await ask(peer, "new")
        await put(peer, b"x")
        with anyio.fail_after(PATIENCE):
            await writable.stop(grace=60.0)
        assert [report.state for report in writable.reports()] == [State.COMPLETE]
    assert peer.nothing_waits()


async def test_upload_goes_into_the_clients_view(root: Path, peer: Peer):
    views = {"127.0.0.1": "pxe"}
    server = TftpServer("127.0.0.1", 0, root, writable=True, views=views)
    async with serving(server, peer):
        assert await ask(peer, "boot.img") == EXISTS
        await ask(peer, "new")
        await put(peer, b"x")
    assert below(root) == BEFORE | {"pxe/new"}


async def test_upload_into_a_store(peer: Peer):
    store = AsyncOperator("memory")
    await write(store, "one/old", b"old")
    server = TftpServer("127.0.0.1", 0, store, writable=True, views={"127.0.0.1": "one"})
    async with serving(server, peer):
        assert await ask(peer, "old") == EXISTS
        assert await ask(peer, "new") == Ack(0)
        assert await put(peer, b"n" * 1000) == Ack(2)
        assert await peer.fetch(await peer.read("new")) == b"n" * 1000


@pytest.mark.parametrize("options", [("blksize", "65464"), ("windowsize", "16")])
async def test_large_upload(root: Path, peer: Peer, options: tuple[str, str]):
    content = os.urandom(3_000_000)
    server = TftpServer("127.0.0.1", 0, root, writable=True)
    async with serving(server, peer):
        await ask(peer, "new", options, ("blksize", "60000"))
        window = 16 if "windowsize" in options else 1
        size = 60000 if "windowsize" in options else 65464
        blocks = [content[at : at + size] for at in range(0, len(content) + 1, size)]
        number = 0
        while number < len(blocks):
            # What was lost on the way is sent again, from where the server says.
            for ahead in range(number, min(number + window, len(blocks))):
                await peer.send(Data(ahead + 1, blocks[ahead]).encode())
            answer = await peer.receive()
            assert isinstance(answer, Ack)
            number = max(number, answer.block)
        assert (root / "new").read_bytes() == content
