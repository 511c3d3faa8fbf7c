"""One transfer, and what may come in between."""

import asyncio
import gc
import os
import socket
import weakref
from pathlib import Path

import anyio
import pytest

from jumpstarter_driver_tftp.conftest import PATIENCE, Peer, serving
from jumpstarter_driver_tftp.conversation import Conversation
from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.files import Directory
from jumpstarter_driver_tftp.lines import OwnPort
from jumpstarter_driver_tftp.options import Terms
from jumpstarter_driver_tftp.packet import Ack, Data, Error, Oack, Opcode, Packet, Request, parse
from jumpstarter_driver_tftp.readiness import LoopReaders
from jumpstarter_driver_tftp.reports import State
from jumpstarter_driver_tftp.server import TftpErrorCode, TftpServer
from jumpstarter_driver_tftp.sockets import Channel
from jumpstarter_driver_tftp.transfer import Outcome, Sender


async def test_repeated_ack_sends_nothing(server: TftpServer, peer: Peer):
    async with serving(server, peer):
        await peer.read("boot.img")
        second = await peer.answer(Ack(1))
        assert isinstance(second, Data)
        assert second.block == 2
        for _ in range(3):
            await peer.send(Ack(1).encode())
        third = await peer.answer(Ack(2))
        assert isinstance(third, Data)
        assert third.block == 3
        assert peer.nothing_waits()


async def test_each_transfer_has_its_own_port(server: TftpServer, peer: Peer):
    async with serving(server, peer):
        await peer.read("boot.img")
        assert peer.transfer != server.address
        assert peer.transfer[0] == "127.0.0.1"


async def test_wrong_port_gets_error_5_and_disturbs_nothing(server: TftpServer, peer: Peer):
    async with serving(server, peer):
        await peer.read("boot.img")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0)
            stranger = Peer(sock)
            stranger.transfer = peer.transfer
            for datagram in (Ack(1), Data(1, b"x"), Request(Opcode.RRQ, "a", "octet")):
                answer = await stranger.answer(datagram)
                assert answer == Error(TftpErrorCode.UNKNOWN_TID, "Unknown transfer ID")
            await stranger.send(Error(0, "stop").encode())
            assert peer.nothing_waits()
            second = await peer.answer(Ack(1))
            assert isinstance(second, Data)
            assert second.block == 2
            assert stranger.nothing_waits()


async def test_malformed_packet_on_a_transfer_is_not_fatal(server: TftpServer, peer: Peer):
    async with serving(server, peer):
        await peer.read("boot.img")
        for datagram in (b"", b"\0\4", b"\0\77\0\0"):
            await peer.send(datagram)
            answer = await peer.receive()
            assert isinstance(answer, Error)
            assert answer.code == TftpErrorCode.ILLEGAL_OPERATION
        second = await peer.answer(Ack(1))
        assert isinstance(second, Data)
        assert second.block == 2


async def test_repeated_request_gets_the_same_answer_from_the_same_port(
    server: TftpServer, peer: Peer
):
    server.timeout = 60.0  # so that it is not the timer that answers
    async with serving(server, peer):
        first = await peer.read("boot.img")
        port = peer.transfer
        assert await peer.read("boot.img") == first
        assert peer.transfer == port
        assert len(server.active_transfers) == 1


async def test_new_request_from_the_same_port_replaces_the_transfer(server: TftpServer, peer: Peer):
    async with serving(server, peer):
        await peer.read("boot.img")
        first = peer.transfer
        assert await peer.fetch(await peer.read("pxe/boot.img")) == b"in a sub-directory"
        assert peer.transfer != first


async def test_request_right_after_the_last_ack_of_the_same_is_a_new_one(
    server: TftpServer, peer: Peer
):
    async with serving(server, peer):
        for _ in range(5):
            assert await peer.fetch(await peer.read("pxe/boot.img")) == b"in a sub-directory"
    # The last ACK of all may have come too late to be read.
    assert [report.state for report in server.reports()[1:]] == [State.COMPLETE] * 4


async def test_transfer_that_has_ended_is_freed_without_the_collector(
    server: TftpServer, peer: Peer
):
    async with serving(server, peer):
        for name in ("boot.img", "pxe/boot.img"):
            first = await peer.read(name)
            [transfer] = server.active_transfers
            left = weakref.ref(transfer)
            del transfer
            gc.disable()
            try:
                async with server.watch() as reports:
                    await peer.fetch(first)
                    with anyio.fail_after(PATIENCE):
                        assert (await anext(reports)).state is State.COMPLETE
                await anyio.wait_all_tasks_blocked()
                assert left() is None
            finally:
                gc.enable()


async def test_file_that_cannot_be_read_is_an_error_and_nothing_else():
    class Unreadable:
        size = 1000

        def at_hand(self, limit: int) -> None:
            assert limit

        async def read(self, limit: int) -> tuple[bytes, bool]:
            assert limit
            raise FileRefused(0, "Input/output error")

    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    strays = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with near, far, strays:
        for sock in (near, far, strays):
            sock.settimeout(0)
        machine = Sender(Terms(), tries=1, opening=Oack((("tsize", "1000"),)).encode())
        line = OwnPort(Channel(near, strays), LoopReaders())
        conversation = Conversation(line, machine, Unreadable())
        await carry_out(conversation)
        finish = conversation.finish
        assert finish is not None
        assert (finish.outcome, finish.text) == (Outcome.FAILED, "Input/output error")
        assert parse(far.recv(100)) == Error(0, "Input/output error")
        with pytest.raises(BlockingIOError):
            far.recv(100)


async def test_shutdown_tells_a_client_in_the_middle(server: TftpServer, peer: Peer):
    async with serving(server, peer):
        await peer.read("boot.img")
    assert await peer.receive() == Error(TftpErrorCode.NOT_DEFINED, "Server is stopping")


async def test_window_goes_out_as_a_whole(server: TftpServer, peer: Peer):
    async with serving(server, peer):
        await peer.read("boot.img", ("windowsize", "2"))
        packets: list[Packet] = [await peer.answer(Ack(0)), await peer.receive()]
        assert [packet.block for packet in packets if isinstance(packet, Data)] == [1, 2]
        assert peer.nothing_waits()
        third = await peer.answer(Ack(2))
        assert isinstance(third, Data)
        assert (third.block, len(third.data)) == (3, 256)


async def test_file_replaced_meanwhile_is_served_as_it_was(
    server: TftpServer, peer: Peer, root: Path
):
    (root / "file").write_bytes(b"old" * 200_000)
    async with serving(server, peer):
        await peer.read("file", ("blksize", "8192"))
        first = await peer.answer(Ack(0))
        (root / "new").write_bytes(b"new" * 200_000)
        (root / "new").rename(root / "file")
        assert await peer.fetch(first, 8192) == b"old" * 200_000


async def test_file_cut_short_meanwhile_is_an_error_not_a_short_file(
    server: TftpServer, peer: Peer, root: Path
):
    (root / "file").write_bytes(bytes(1_000_000))
    async with serving(server, peer):
        packet = await peer.read("file", ("blksize", "60000"))
        packet = await peer.answer(Ack(0))
        os.truncate(root / "file", 300_000)
        while isinstance(packet, Data):
            assert len(packet.data) == 60000
            packet = await peer.answer(Ack(packet.block))
        assert packet == Error(TftpErrorCode.NOT_DEFINED, "File changed while it was sent")


async def test_many_clients_at_once(server: TftpServer, root: Path):
    contents = [os.urandom(20_000) for _ in range(20)]
    for number, content in enumerate(contents):
        (root / str(number)).write_bytes(content)
    fetched: dict[int, bytes] = {}

    async def client(number: int, address: tuple[str, int]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0)
            peer = Peer(sock)
            peer.server = address
            fetched[number] = await peer.fetch(await peer.read(str(number)))

    async with server.running() as address, anyio.create_task_group() as tasks:
        for number in range(len(contents)):
            tasks.start_soon(client, number, address)
    assert [fetched[number] for number in range(len(contents))] == contents


async def carry_out(conversation: Conversation) -> None:
    with conversation.attached():
        await conversation.run()


async def test_full_socket_is_waited_for(root: Path):
    # Only a socket of this kind is ever full on one machine: the others drop what has no room.
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    strays = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    windowsize = 1000
    machine = Sender(Terms(8, windowsize, timeout=60.0), tries=1)
    loop = asyncio.get_running_loop()
    with near, far, strays:
        for sock in (near, far, strays):
            sock.settimeout(0)
        (root / "large").write_bytes(bytes(100_000))
        async with Directory(root).open(("large",)) as file, anyio.create_task_group() as tasks:
            conversation = Conversation(
                OwnPort(Channel(near, strays), LoopReaders()), machine, file
            )
            tasks.start_soon(carry_out, conversation)
            for number in range(1, windowsize + 1):
                with anyio.fail_after(PATIENCE):
                    packet = parse(await loop.sock_recv(far, 100))
                assert isinstance(packet, Data)
                assert packet.block == number
            far.send(Error(0, "enough").encode())
