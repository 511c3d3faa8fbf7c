"""What must hold for the machines of TFTP, whatever comes and in whatever order.

The bytes are a program of steps: a datagram that is right, or near to it, or anything; time that
passes; more of the file. So a few bytes lead deep into a transfer. A function that raises anything
has found a fault.
"""

from collections.abc import Callable

from jumpstarter_driver_tftp.netascii import Codec, Decoder, Encoder, Octet
from jumpstarter_driver_tftp.options import Pairs, Terms
from jumpstarter_driver_tftp.packet import Ack, Data, Oack, parse
from jumpstarter_driver_tftp.transfer import Command, Finish, Outcome, Receiver, Send, Sender, Write

Step = Callable[[], list[Command]]

BLKSIZE = 8
TRIES = 3
MAX_SILENCES = 14 + TRIES + 1
"""From 50 ms the wait doubles at most so often until it is the longest, and that counts."""

ERROR = b"\0\5"
OPENING = Ack(0).encode()
ASKED: Pairs = (("blksize", str(BLKSIZE)), ("windowsize", "4"), ("timeout", "2"))


class Program:
    """Bytes that are used up from the front."""

    def __init__(self, data: bytes) -> None:
        """Begin at the first byte."""
        self._data = data
        self._at = 0

    @property
    def left(self) -> bool:
        """Whether there is a next byte."""
        return self._at < len(self._data)

    def byte(self) -> int:
        """Return the next byte, or 0 at the end."""
        return (self.take(1) or b"\0")[0]

    def take(self, size: int) -> bytes:
        """Return the next bytes, as far as there are so many."""
        piece = self._data[self._at : self._at + size]
        self._at += size
        return piece

    def near(self, number: int) -> int:
        """Return a number that is close to another, as often as not the next one."""
        offset = self.byte()
        return max(number + 1 + (offset - 256 if offset >= 128 else offset), 0)

    def oack(self) -> bytes:
        """Return an OACK to `ASKED`, with some of it, and perhaps with another value."""
        kind = self.byte()
        name, _ = ASKED[kind % 3]
        other: Pairs = ((name, str(self.byte())),) if kind & 8 else ()
        return Oack(other + ASKED[: kind % 4]).encode()


class Watch:
    """A machine, and what has become of it so far."""

    def __init__(self, machine: Sender | Receiver, most: int) -> None:
        """Watch a machine that gives `most` commands at a time at most."""
        self.machine = machine
        self.now = 100.0
        self.ended = False
        self._most = most
        self._done = (0, 0, 0)

    def check(self, commands: list[Command]) -> list[Command]:
        """Check what a machine wants done, and how it stands."""
        machine = self.machine
        assert len(commands) <= self._most
        assert not self.ended or not commands
        self.ended |= any(isinstance(command, Finish) for command in commands)
        assert not any(isinstance(command, Finish) for command in commands[:-1])
        assert not self.ended or machine.deadline() is None
        done = (machine.acknowledged_blocks, machine.done, machine.resent)
        assert all(now >= before for now, before in zip(done, self._done, strict=True))
        self._done = done
        assert machine.rtt is None or machine.rtt >= 0
        assert machine.heard or not machine.done
        for command in commands:
            if isinstance(command, Send) and command.datagram != OPENING:
                assert parse(command.datagram).encode() == command.datagram
        return commands

    def receive(self, datagram: bytes) -> list[Command]:
        """Give the machine a datagram; an ERROR is never answered."""
        commands = self.check(self.machine.receive(datagram, self.now))
        if datagram[:2] == ERROR:
            assert not any(isinstance(command, Send) for command in commands)
            assert self.ended
        return commands

    def wait(self, seconds: float) -> list[Command]:
        """Let time pass."""
        self.now += seconds
        commands = self.check(self.machine.timeout(self.now))
        due = self.machine.deadline()
        assert due is None or due > self.now
        return commands

    def silence(self) -> list[Command]:
        """Let the deadline pass, if there is one."""
        due = self.machine.deadline()
        return self.wait(max(due - self.now, 0.0)) if due is not None else []


def sender(data: bytes) -> None:
    """A sender sends what the file holds, within its window, and ends when nobody answers."""
    program = Program(data)
    run = _Sending(program)
    run.verify(run.watch.check(run.machine.start(run.watch.now)))
    while program.left:
        step = run.steps[program.byte() % len(run.steps)]
        run.verify(step())
    while run.machine.wanted():
        run.verify(run.supply(1 << 16))
    for _ in range(MAX_SILENCES):
        run.verify(run.watch.silence())
    assert run.watch.ended


class _Sending:
    """A sender, the file that it sends, and the steps that a program may take."""

    def __init__(self, program: Program) -> None:
        kind = program.byte()
        windowsize = (1, 2, 4, 64)[kind & 3]
        codec: Codec = Encoder() if kind & 4 else Octet()
        opening = OPENING if kind & 24 else None
        asked = ASKED if kind & 24 == 8 else None
        terms = Terms(BLKSIZE, windowsize, timeout=2.0, exact_timeout=bool(kind & 32))
        self.program = program
        self.content = b"abc\ndef\r\n" * program.byte()
        self.wire = Encoder().feed(self.content) if kind & 4 else self.content
        self.machine = Sender(terms, tries=TRIES, opening=opening, asked=asked, codec=codec)
        self.watch = Watch(self.machine, 2 * max(windowsize, 4) + 2)
        self.steps: list[Step] = [
            self.ack,
            self.ack,
            lambda: self.supply(program.byte()),
            self.watch.silence,
            lambda: self.watch.wait(program.byte() / 100),
            lambda: self.watch.receive(program.take(program.byte() % 16)),
            lambda: self.watch.receive(program.oack()),
            self.repeat,
            self.abort,
        ]

    def ack(self) -> list[Command]:
        return self.watch.receive(Ack(self.program.near(self.machine.acknowledged_blocks)).encode())

    def supply(self, size: int) -> list[Command]:
        if not self.machine.wanted():
            return []
        chunk, self.content = self.content[:size], self.content[size:]
        last = not self.content
        return self.watch.check(self.machine.supply(chunk, self.watch.now, last=last))

    def repeat(self) -> list[Command]:
        return [] if self.machine.heard else self.watch.check(self.machine.repeat())

    def abort(self) -> list[Command]:
        return self.watch.check(self.machine.abort(0, "stop"))

    def verify(self, commands: list[Command]) -> None:
        """Check that blocks are those of the file, and not further than the window reaches."""
        base = self.machine.acknowledged_blocks + 1
        assert self.machine.done <= len(self.wire)
        for command in commands:
            if isinstance(command, Finish):
                complete = command.outcome is Outcome.COMPLETE
                assert not complete or self.machine.done == len(self.wire)
            elif isinstance(command, Send) and isinstance(data := parse(command.datagram), Data):
                number = base + ((data.block - base) & 0xFFFF)
                assert number < base + self.machine.terms.windowsize
                assert data.data == self.wire[(number - 1) * BLKSIZE : number * BLKSIZE]


def receiver(data: bytes) -> None:
    """A receiver writes each block once and in order, no more than it may, and ends in silence."""
    program = Program(data)
    run = _Receiving(program)
    run.watch.check(run.machine.start(run.watch.now))
    while program.left:
        step = run.steps[program.byte() % len(run.steps)]
        assert not any(isinstance(command, Write) for command in step())
    for _ in range(MAX_SILENCES):
        run.watch.silence()
    assert run.watch.ended


class _Receiving:
    """A receiver, what it has written, and the steps that a program may take."""

    def __init__(self, program: Program) -> None:
        kind = program.byte()
        windowsize = (1, 2, 4, 64)[kind & 3]
        asked = ASKED if kind & 8 else None
        terms = Terms(BLKSIZE, windowsize, timeout=2.0, exact_timeout=bool(kind & 32))
        self.program = program
        self.netascii = bool(kind & 4)
        self.max_bytes = program.byte() % 32 if kind & 64 else None
        self.written = 0
        self.complete = False
        self.machine = Receiver(
            terms,
            tries=TRIES,
            opening=OPENING,
            asked=asked,
            codec=Decoder() if self.netascii else None,
            linger=1.0 if kind & 16 else 0.0,
            max_bytes=self.max_bytes,
        )
        self.watch = Watch(self.machine, 3)
        self.steps: list[Step] = [
            self.data,
            self.data,
            self.data,
            self.watch.silence,
            lambda: self.watch.wait(program.byte() / 100),
            self.anything,
            lambda: self.watch.receive(program.oack()),
            lambda: self.watch.check(self.machine.repeat()),
            lambda: self.watch.check(self.machine.abort(0, "stop")),
        ]

    def data(self) -> list[Command]:
        """Give it a block that is mostly whole, and often the next; return what is no Write."""
        before = self.machine.acknowledged_blocks
        block, size = self.program.near(before), self.program.byte()
        payload = b"abc\r\nde\r\0"[: size % 10 if size & 1 else BLKSIZE]
        return self.verify(block, payload, self.watch.receive(Data(block, payload).encode()))

    def anything(self) -> list[Command]:
        """Give it bytes as they come; return what is no Write."""
        datagram = self.program.take(self.program.byte() % 16)
        commands = self.watch.receive(datagram)
        if datagram[:2] != b"\0\3" or len(datagram) < 4:
            return commands
        return self.verify(int.from_bytes(datagram[2:4], "big"), datagram[4:], commands)

    def verify(self, block: int, payload: bytes, commands: list[Command]) -> list[Command]:
        """Check what is written on account of a block; return the other commands."""
        writes = [command for command in commands if isinstance(command, Write)]
        for write in writes:
            assert not self.complete
            assert block & 0xFFFF == self.machine.acknowledged_blocks & 0xFFFF
            assert self.netascii or write.data == payload
            assert write.last == (len(payload) < BLKSIZE)
            self.complete = write.last
            self.written += len(write.data)
        assert len(writes) <= 1
        assert self.max_bytes is None or self.written <= self.max_bytes
        assert self.netascii or self.written == self.machine.done
        return [command for command in commands if not isinstance(command, Write)]
