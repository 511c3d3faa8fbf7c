"""One upload, and what may come in between."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pytest

from jumpstarter_driver_tftp import reception
from jumpstarter_driver_tftp.conftest import PATIENCE, Peer
from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.lines import OwnPort
from jumpstarter_driver_tftp.options import Offer, Terms
from jumpstarter_driver_tftp.packet import Ack, Data, Error, Oack, Opcode, Packet, Request
from jumpstarter_driver_tftp.readiness import LoopReaders
from jumpstarter_driver_tftp.reception import Reception
from jumpstarter_driver_tftp.requests import open_receiver
from jumpstarter_driver_tftp.sockets import listen
from jumpstarter_driver_tftp.transfer import Finish, Outcome

DISK_FULL = Error(3, "Disk full")


@dataclass
class Tape:
    """A file that takes what it gets only while its gate is open."""

    content: bytes = b""
    complete_as: bytes | None = None
    room: int = 1 << 30
    name_is_taken: bool = False
    gate: anyio.Event = field(default_factory=anyio.Event)
    busy: anyio.Event = field(default_factory=anyio.Event)

    async def write(self, data: bytes) -> None:
        self.busy.set()
        await self.gate.wait()
        if len(self.content) + len(data) > self.room:
            raise FileRefused(DISK_FULL.code, DISK_FULL.text)
        self.content += data

    async def complete(self) -> None:
        self.busy.set()
        await self.gate.wait()
        if self.name_is_taken:
            raise FileRefused(6, "File already exists")
        self.complete_as = self.content


@dataclass
class Taking:
    """A running upload.

    Attributes:
        first: the server's first answer.
        ends: how it ended, once it has.
    """

    tape: Tape
    reception: Reception
    first: Packet
    ends: list[Finish] = field(default_factory=list[Finish])

    async def run(self) -> None:
        with self.reception.attached():
            self.ends.append(await self.reception.run())
            if self.ends[0].outcome is Outcome.COMPLETE:
                await self.reception.linger()


@asynccontextmanager
async def taking(
    peer: Peer,
    tape: Tape,
    *options: tuple[str, str],
    mode: str = "octet",
    patience: float = 60.0,
    slow: bool = False,
) -> AsyncGenerator[Taking]:
    """Run an upload from `peer`, from the first answer on."""
    if not slow:
        tape.gate.set()
    request = Request(Opcode.WRQ, "f", mode, options)
    with listen(("127.0.0.1", 0)) as listener:
        await peer.send(request.encode(), listener.address)
        await anyio.wait_readable(listener.socket)
        arrival = listener.receive()
        assert arrival is not None
        machine, _ = open_receiver(request, Offer(Terms(timeout=patience)), 3, 1 << 30)
        with listener.channel(arrival) as channel:
            taken = Reception(OwnPort(channel, LoopReaders()), machine, tape)
            async with anyio.create_task_group() as tasks:
                running = Taking(tape, taken, Ack(0))
                tasks.start_soon(running.run)
                running.first = await peer.receive()
                yield running
                tasks.cancel_scope.cancel()


async def test_blocks_are_written_and_acknowledged(peer: Peer):
    async with taking(peer, Tape()) as running:
        assert running.first == Ack(0)
        assert await peer.answer(Data(1, b"a" * 512)) == Ack(1)
        assert running.tape.content == b"a" * 512
        assert running.tape.complete_as is None
        assert await peer.answer(Data(2, b"b")) == Ack(2)
        assert running.tape.complete_as == b"a" * 512 + b"b"
        assert running.ends == [Finish(Outcome.COMPLETE)]


async def test_nothing_is_acknowledged_before_it_is_written(peer: Peer):
    async with taking(peer, Tape(), slow=True) as running:
        await peer.send(Data(1, b"a" * 512).encode())
        await running.tape.busy.wait()
        await peer.send(Data(1, b"a" * 512).encode())
        await anyio.wait_all_tasks_blocked()
        assert peer.nothing_waits()
        running.tape.gate.set()
        assert await peer.receive() == Ack(1)


async def test_last_block_is_acknowledged_when_the_file_is_complete(peer: Peer):
    async with taking(peer, Tape(), slow=True) as running:
        await peer.send(Data(1, b"").encode())
        await running.tape.busy.wait()
        await anyio.wait_all_tasks_blocked()
        assert peer.nothing_waits()
        running.tape.gate.set()
        assert await peer.receive() == Ack(1)
        assert running.tape.complete_as == b""


async def test_last_ack_is_repeated_on_demand(peer: Peer):
    async with taking(peer, Tape()) as running:
        for _ in range(3):
            assert await peer.answer(Data(1, b"x")) == Ack(1)
        assert running.tape.complete_as == b"x"


async def test_slow_file_is_not_the_clients_silence(peer: Peer):
    async with taking(peer, Tape(), patience=0.05, slow=True) as running:
        await peer.send(Data(1, b"a" * 512).encode())
        await running.tape.busy.wait()
        await anyio.sleep(0.3)  # longer than all tries take
        running.tape.gate.set()
        assert await peer.receive() == Ack(1)
        assert not running.ends
        assert running.reception.machine.resent == 0


async def test_what_waits_for_a_slow_file_is_bounded(peer: Peer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reception, "MIN_INBOX_BYTES", 4 * 516)
    async with taking(peer, Tape(), slow=True) as running:
        await peer.send(Data(1, b"a" * 512).encode())
        await running.tape.busy.wait()
        for number in range(2, 100):
            await peer.send(Data(number, b"a" * 512).encode())
            await anyio.lowlevel.checkpoint()
        for _ in range(100):  # a turn of the loop takes a datagram
            await anyio.lowlevel.checkpoint()
        running.tape.gate.set()
        acks = [await peer.receive() for _ in range(5)]
        assert acks == [Ack(number) for number in range(1, 6)]
        assert len(running.tape.content) == 5 * 512
        # The client sends again what was lost, as after any loss.
        assert await peer.answer(Data(6, b"b")) == Ack(6)
        assert running.tape.complete_as == b"a" * 5 * 512 + b"b"


async def test_window_is_acknowledged_as_a_whole(peer: Peer):
    async with taking(peer, Tape(), ("windowsize", "3")) as running:
        assert running.first == Oack((("windowsize", "3"),))
        for number in (1, 2):
            await peer.send(Data(number, b"a" * 512).encode())
        await anyio.wait_all_tasks_blocked()
        assert peer.nothing_waits()
        assert await peer.answer(Data(3, b"a" * 512)) == Ack(3)
        assert await peer.answer(Data(4, b"")) == Ack(4)
        assert running.tape.complete_as == b"a" * 3 * 512


async def test_netascii_is_translated(peer: Peer):
    async with taking(peer, Tape(), ("blksize", "8"), mode="netascii") as running:
        assert await peer.answer(Data(1, b"one\r\ntw\r")) == Ack(1)
        assert await peer.answer(Data(2, b"\0\r\n")) == Ack(2)
        assert running.tape.complete_as == b"one\ntw\r\n"


async def test_file_that_takes_no_more_is_an_error(peer: Peer):
    async with taking(peer, Tape(room=600)) as running:
        assert await peer.answer(Data(1, b"a" * 512)) == Ack(1)
        assert await peer.answer(Data(2, b"a" * 512)) == DISK_FULL
        await anyio.wait_all_tasks_blocked()
        assert running.ends == [Finish(Outcome.FAILED, DISK_FULL.code, DISK_FULL.text)]
        assert running.tape.complete_as is None


async def test_file_that_cannot_be_completed_is_an_error_and_no_ack(peer: Peer):
    async with taking(peer, Tape(name_is_taken=True)) as running:
        assert await peer.answer(Data(1, b"x")) == Error(6, "File already exists")
        await anyio.wait_all_tasks_blocked()
        assert running.ends[0].outcome is Outcome.FAILED
        assert peer.nothing_waits()


async def test_client_that_gives_up(peer: Peer):
    async with taking(peer, Tape()) as running:
        await peer.answer(Data(1, b"a" * 512))
        await peer.send(Error(0, "no").encode())
        with anyio.fail_after(PATIENCE):
            while not running.ends:
                await anyio.lowlevel.checkpoint()
        assert running.ends == [Finish(Outcome.REFUSED, 0, "no")]
        assert running.tape.complete_as is None


async def test_client_that_falls_silent(peer: Peer):
    async with taking(peer, Tape(), patience=0.02) as running:
        assert [await peer.receive(), await peer.receive()] == [Ack(0), Ack(0)]
        with anyio.fail_after(PATIENCE):
            while not running.ends:
                await anyio.lowlevel.checkpoint()
        assert running.ends[0].outcome is Outcome.TIMED_OUT


async def test_block_larger_than_agreed_is_an_error(peer: Peer):
    async with taking(peer, Tape()) as running:
        answer = await peer.answer(Data(1, b"a" * 513))
        assert isinstance(answer, Error)
        assert running.tape.content == b""


async def test_cut_off_in_the_middle_the_client_is_told(peer: Peer):
    async with taking(peer, Tape()):
        await peer.answer(Data(1, b"a" * 512))
    assert await peer.receive() == Error(0, "Server is stopping")


async def test_cut_off_after_the_end_nobody_is_told(peer: Peer):
    async with taking(peer, Tape()):
        await peer.answer(Data(1, b""))
    assert peer.nothing_waits()


async def test_repeated_request_gets_the_first_answer_again(peer: Peer):
    async with taking(peer, Tape(), ("blksize", "8")) as running:
        running.reception.repeat()
        assert await peer.receive() == running.first
