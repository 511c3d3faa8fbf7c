"""The server as a client's bare socket sees it."""

import errno
import logging
import os
import resource
from pathlib import Path

import anyio
import pytest
from opendal import AsyncOperator

from jumpstarter_driver_tftp.conftest import PATIENCE, Peer, serving, write
from jumpstarter_driver_tftp.packet import (
    Ack,
    Data,
    Error,
    Oack,
    Opcode,
    Request,
)
from jumpstarter_driver_tftp.server import TftpErrorCode, TftpServer
from jumpstarter_driver_tftp.transfers import Transfer


def everything_below(root: Path) -> dict[Path, bytes | None]:
    """Return all names below a directory, with the content of those that are files."""
    return {path: path.read_bytes() if path.is_file() else None for path in root.rglob("*")}


class Watched(TftpServer):
    """A server that tells when a transfer has ended."""

    def __init__(self, root: Path, timeout: float, retries: int):
        super().__init__("127.0.0.1", 0, root, timeout=timeout, retries=retries)
        self.ended = anyio.Event()

    def unregister_transfer(self, transfer: Transfer) -> None:
        super().unregister_transfer(transfer)
        self.ended.set()


async def test_start_binds_and_shutdown_ends(server: TftpServer):
    assert server.address is None
    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(PATIENCE):
            tasks.start_soon(server.start)
            await server.ready_event.wait()
            address = server.address
            assert address is not None
            assert address[0] == "127.0.0.1"
            assert address[1] > 0
            await server.shutdown()
    assert server.address is None
    assert server.transport is None


async def test_two_starts_of_one_server_both_end(server: TftpServer):
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.start)
            tasks.start_soon(server.start)
            await server.ready_event.wait()
            assert server.transport is not None
            await server.shutdown()


async def test_port_in_use_is_raised(server: TftpServer, root: Path):
    async with server.running() as address:
        second = TftpServer(*address, root)
        with pytest.raises(OSError, match="in use") as caught:
            await second.start()
        assert caught.value.errno == errno.EADDRINUSE
        assert not second.ready_event.is_set()


async def test_port_is_free_again_after_shutdown(server: TftpServer, root: Path):
    async with server.running() as address:
        pass
    async with TftpServer(*address, root).running() as again:
        assert again == address


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024, 1300, 300_000])
async def test_existing_file_arrives_byte_by_byte(
    server: TftpServer, peer: Peer, root: Path, size: int
):
    content = os.urandom(size)
    (root / "file").write_bytes(content)
    async with serving(server, peer):
        assert await peer.fetch(await peer.read("file")) == content


async def test_directory_instead_of_an_operator(peer: Peer, root: Path):
    async with serving(TftpServer("127.0.0.1", 0, root), peer):
        assert await peer.fetch(await peer.read("boot.img")) == bytes(range(256)) * 5


async def test_operator_without_directory(peer: Peer):
    operator = AsyncOperator("memory")
    await write(operator, "deep/file", b"x" * 700_000)
    async with serving(TftpServer("127.0.0.1", 0, operator), peer):
        oack = await peer.read("deep/file", ("tsize", "0"), ("blksize", "8192"))
        assert oack == Oack((("tsize", "700000"), ("blksize", "8192")))
        assert await peer.fetch(await peer.answer(Ack(0)), 8192) == b"x" * 700_000
        for missing in ("none", "deep", b"\xff".decode("utf-8", "surrogateescape")):
            answer = await peer.read(missing)
            assert isinstance(answer, Error)
            assert answer.code == TftpErrorCode.FILE_NOT_FOUND


@pytest.mark.parametrize(
    "name",
    ["pxe/boot.img", "/pxe/boot.img", "//pxe//./boot.img", "pxe\\boot.img", "\\pxe\\boot.img"],
)
async def test_sub_directory_is_served(server: TftpServer, peer: Peer, name: str):
    async with serving(server, peer):
        assert await peer.fetch(await peer.read(name)) == b"in a sub-directory"


@pytest.mark.parametrize("name", [b"Ger\xc3\xa4t", b"\xff\xfe", b"a..b", b"a b:c?*|"])
async def test_names_are_bytes(server: TftpServer, peer: Peer, root: Path, name: bytes):
    (root / os.fsdecode(name)).write_bytes(b"found")
    async with serving(server, peer):
        assert await peer.fetch(await peer.ask(b"\0\1" + name + b"\0octet\0")) == b"found"


FORBIDDEN = Error(TftpErrorCode.ACCESS_VIOLATION, "Access violation")
NOT_FOUND = Error(TftpErrorCode.FILE_NOT_FOUND, "File not found")
NOT_A_FILE = Error(TftpErrorCode.FILE_NOT_FOUND, "Not a file")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param("missing", NOT_FOUND, id="missing"),
        pytest.param("missing/boot.img", NOT_FOUND, id="missing directory"),
        pytest.param("boot.img/x", NOT_FOUND, id="below a file"),
        pytest.param("", NOT_FOUND, id="no name"),
        pytest.param("/", NOT_FOUND, id="root"),
        pytest.param("x" * 256, NOT_FOUND, id="name longer than a file system has"),
        pytest.param("x/" * 1500, NOT_FOUND, id="path of great length"),
        pytest.param("pxe", NOT_A_FILE, id="directory"),
        pytest.param("fifo", NOT_A_FILE, id="FIFO"),
        pytest.param("device", FORBIDDEN, id="link to a device"),
        pytest.param("..", FORBIDDEN, id="parent"),
        pytest.param("../secret", FORBIDDEN, id="traversal"),
        pytest.param("pxe/../../secret", FORBIDDEN, id="traversal from below"),
        pytest.param("pxe/..", FORBIDDEN, id="traversal that stays inside"),
        pytest.param("..\\secret", FORBIDDEN, id="traversal with back-slashes"),
        pytest.param("/../secret", FORBIDDEN, id="traversal from the root"),
        pytest.param("/etc/passwd", NOT_FOUND, id="absolute path is below the root"),
        pytest.param("escape", FORBIDDEN, id="link to a file outside"),
        pytest.param("out/secret", FORBIDDEN, id="link to a directory outside"),
        pytest.param("loop", NOT_FOUND, id="link to itself"),
    ],
)
async def test_refused(server: TftpServer, peer: Peer, root: Path, name: str, error: Error):
    os.mkfifo(root / "fifo")
    (root / "device").symlink_to("/dev/zero")
    (root / "escape").symlink_to(root.parent / "secret")
    (root / "out").symlink_to("..")
    (root / "loop").symlink_to("loop")
    async with serving(server, peer):
        assert await peer.read(name) == error
        assert peer.transfer == server.address
        assert peer.nothing_waits()
        assert not server.active_transfers


async def test_unreadable_file_is_refused(peer: Peer):
    # Even root may not read this one.
    async with serving(TftpServer("127.0.0.1", 0, "/proc/sys/net/ipv4/route"), peer):
        assert await peer.read("flush") == FORBIDDEN


async def test_link_inside_the_root_is_followed(server: TftpServer, peer: Peer, root: Path):
    (root / "latest").symlink_to("pxe/boot.img")
    async with serving(server, peer):
        assert await peer.fetch(await peer.read("latest")) == b"in a sub-directory"


async def test_write_is_refused_and_nothing_written(server: TftpServer, peer: Peer, root: Path):
    before = everything_below(root)
    async with serving(server, peer):
        for name in ("new", "boot.img"):
            answer = await peer.ask(Request(Opcode.WRQ, name, "octet").encode())
            assert isinstance(answer, Error)
            assert answer.code == TftpErrorCode.ACCESS_VIOLATION
    assert everything_below(root) == before


@pytest.mark.parametrize(
    ("datagram", "text"),
    [
        pytest.param(b"", "Malformed packet", id="empty"),
        pytest.param(b"\0\1", "Malformed packet", id="two bytes"),
        pytest.param(b"\0\1file", "Malformed packet", id="no end of name"),
        pytest.param(b"\0\1file\0octet", "Malformed packet", id="no end of mode"),
        pytest.param(b"\0\1" + b"x" * 5000 + b"\0octet\0", "Malformed packet", id="endless"),
        pytest.param(b"\0\11abc", "Unknown opcode", id="unknown opcode"),
        pytest.param(b"\0\1boot.img\0mail\0", "Unsupported transfer mode", id="mail"),
        pytest.param(Data(1, b"x").encode(), "Unsupported operation", id="data"),
        pytest.param(Ack(1).encode(), "Unsupported operation", id="ack"),
        pytest.param(Oack(()).encode() + b"\0\0", "Unsupported operation", id="oack"),
    ],
)
async def test_invalid_packet_gets_error_4_and_the_server_goes_on(
    server: TftpServer, peer: Peer, datagram: bytes, text: str
):
    async with serving(server, peer):
        assert await peer.ask(datagram) == Error(TftpErrorCode.ILLEGAL_OPERATION, text)
        assert await peer.fetch(await peer.read("pxe/boot.img")) == b"in a sub-directory"


@pytest.mark.parametrize("datagram", [b"\0\5", b"\0\5\0\1", Error(1, "no").encode()])
async def test_error_is_never_answered(server: TftpServer, peer: Peer, datagram: bytes):
    async with serving(server, peer):
        await peer.send(datagram, peer.server)
        # Datagrams of one socket are served in order, so an answer would come first.
        assert isinstance(await peer.read("pxe/boot.img"), Data)


@pytest.mark.parametrize(
    ("asked", "acknowledged"),
    [
        pytest.param({"blksize": "1024", "timeout": "3"}, None, id="both"),
        pytest.param({"blksize": "1024"}, None, id="blksize alone"),
        pytest.param({"timeout": "3"}, None, id="timeout alone"),
        pytest.param({"blksize": "512"}, None, id="a default"),
        pytest.param({"BLKSIZE": "9"}, {"blksize": "9"}, id="upper case"),
        pytest.param({"blksize": "65465"}, {"blksize": "65464"}, id="clamped"),
        pytest.param({"tsize": "0"}, {"tsize": "1280"}, id="tsize"),
        pytest.param({"windowsize": "4"}, None, id="windowsize"),
        pytest.param({"windowsize": "1000"}, {"windowsize": "64"}, id="bounded window"),
        pytest.param({"x": "y", "blksize": "9"}, {"blksize": "9"}, id="unknown beside known"),
        pytest.param({"blksize": "invalid", "timeout": "9"}, {"timeout": "9"}, id="bad and good"),
    ],
)
async def test_options_are_acknowledged(
    server: TftpServer,
    peer: Peer,
    asked: dict[str, str],
    acknowledged: dict[str, str] | None,
):
    async with serving(server, peer):
        answer = await peer.read("boot.img", *asked.items())
        expected = (acknowledged or asked).items()
        assert answer == Oack(tuple(expected))
        first = await peer.answer(Ack(0))
        size = int(dict(expected).get("blksize", "512"))
        assert first == Data(1, (bytes(range(256)) * 5)[:size])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"blksize": "invalid"}, id="not a number"),
        pytest.param({"blksize": "7"}, id="too small"),
        pytest.param({"timeout": "0"}, id="timeout 0"),
        pytest.param({"timeout": "999999"}, id="endless timeout"),
        pytest.param({"blksize": "-1", "timeout": "x"}, id="both bad"),
        pytest.param({"unknown": "1"}, id="unknown"),
    ],
)
async def test_invalid_options_change_nothing(
    server: TftpServer, peer: Peer, options: dict[str, str]
):
    async with serving(server, peer):
        assert await peer.fetch(await peer.read("boot.img", *options.items())) == (
            bytes(range(256)) * 5
        )


async def test_error_8_ends_a_negotiation(server: TftpServer, peer: Peer):
    async with serving(server, peer):
        await peer.read("boot.img", ("blksize", "1024"))
        await peer.send(Error(8, "no options, please").encode())
        assert isinstance(await peer.read("boot.img"), Data)
        assert len(server.active_transfers) == 1


async def test_netascii_is_translated(server: TftpServer, peer: Peer, root: Path):
    (root / "text").write_bytes(b"a\nb\rc")
    async with serving(server, peer):
        answer = await peer.read("text", ("tsize", "0"), ("blksize", "8"), mode="NetASCII")
        assert answer == Oack((("blksize", "8"),))
        assert await peer.fetch(await peer.answer(Ack(0)), 8) == b"a\r\nb\r\0c"


async def test_silence_is_answered_with_the_same_block_and_then_nothing(root: Path, peer: Peer):
    server = Watched(root, timeout=0.05, retries=3)
    async with serving(server, peer):
        first = await peer.read("boot.img")
        assert isinstance(first, Data)
        assert first.block == 1
        assert [await peer.receive(), await peer.receive()] == [first, first]
        with anyio.fail_after(PATIENCE):
            await server.ended.wait()
        assert peer.nothing_waits()


async def test_granted_timeout_is_kept(server: TftpServer, peer: Peer):
    async with serving(server, peer):
        await peer.read("boot.img", ("timeout", "1"))
        first = await peer.answer(Ack(0))
        before = anyio.current_time()
        assert await peer.receive() == first
        assert 0.9 < anyio.current_time() - before < 2.0


async def test_client_that_closes_its_port_costs_nothing(root: Path, peer: Peer):
    server = Watched(root, timeout=0.05, retries=1000)
    async with serving(server, peer):
        await peer.read("boot.img")
        peer.socket.close()
        with anyio.fail_after(PATIENCE):
            await server.ended.wait()


async def test_each_request_is_logged(
    server: TftpServer, peer: Peer, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.start)
        await server.ready_event.wait()
        assert server.address is not None
        peer.server = server.address
        await peer.fetch(await peer.read("pxe/boot.img"))
        await peer.read("../secret")
        await server.shutdown()
    text = caplog.text
    assert "'../secret' refused: Access violation" in text
    assert "'pxe/boot.img' complete after 1 blocks of 512" in text


async def test_without_descriptors_the_client_is_told_and_the_server_goes_on(
    server: TftpServer, peer: Peer
):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with serving(server, peer):
        # Fill the gaps, so that the limit leaves exactly two: enough for the file alone.
        used = [os.open("/dev/null", os.O_RDONLY)]
        while used[-1] < max(map(int, os.listdir("/proc/self/fd"))) - 1:
            used.append(os.open("/dev/null", os.O_RDONLY))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used[-1] + 3, hard))
        try:
            assert await peer.read("boot.img") == Error(TftpErrorCode.NOT_DEFINED, "Server is busy")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in used:
                os.close(descriptor)
        assert await peer.fetch(await peer.read("pxe/boot.img")) == b"in a sub-directory"
