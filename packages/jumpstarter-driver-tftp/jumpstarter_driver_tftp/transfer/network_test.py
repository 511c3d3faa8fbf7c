"""A sender and a receiver against each other, through a network that does its worst."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpstarter_driver_tftp.options import Offer, Pairs, Terms, accept, negotiate
from jumpstarter_driver_tftp.packet import Oack, Opcode, Request, TftpErrorCode
from jumpstarter_driver_tftp.transfer import (
    Command,
    Finish,
    Outcome,
    Receiver,
    Send,
    Sender,
    Write,
)

Machine = Sender | Receiver
TIMEOUT = 1.0


class Fate(Enum):
    """What the network does with one datagram."""

    ARRIVES = auto()
    LOST = auto()
    TWICE = auto()
    LATE = auto()  # overtaken by others
    VERY_LATE = auto()  # after the far side gave up waiting for it
    WRONG_SOURCE = auto()  # whoever runs the machine refuses it, so it never sees it
    WITH_NOISE = auto()  # something that is no packet comes before it, from the same address


DELAYS: Mapping[Fate, tuple[float, ...]] = {
    Fate.ARRIVES: (0.01,),
    Fate.LOST: (),
    Fate.TWICE: (0.01, 0.012),
    Fate.LATE: (0.035,),
    Fate.VERY_LATE: (1.5 * TIMEOUT,),
    Fate.WRONG_SOURCE: (),
    Fate.WITH_NOISE: (0.01,),
}
NOISE = b"\0\4\0"


@dataclass
class Network:
    """Two machines, and what is on its way between them."""

    sender: Sender
    receiver: Receiver
    content: bytes
    fates: Iterator[Fate]
    delays: Mapping[Fate, tuple[float, ...]] = field(default_factory=lambda: DELAYS)
    chunk: int = 7
    now: float = 0.0
    written: list[bytes] = field(default_factory=list[bytes])
    complete: bool = False
    seconds: float = 0.0
    sends: int = 0
    ends: dict[Machine, Finish] = field(default_factory=dict[Machine, Finish])
    queue: list[tuple[float, int, Machine, bytes]] = field(
        default_factory=list[tuple[float, int, Machine, bytes]]
    )
    serial: Iterator[int] = field(default_factory=count)

    def perform(self, machine: Machine, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Send(datagram):
                    self.send(machine, datagram)
                case Write(data, last):
                    assert not self.complete
                    self.written.append(data)
                    self.complete = last
                    self.seconds = self.now
                case Finish():
                    assert machine not in self.ends
                    self.ends[machine] = command

    def send(self, source: Machine, datagram: bytes) -> None:
        self.sends += 1
        target = self.receiver if source is self.sender else self.sender
        fate = next(self.fates, Fate.ARRIVES)
        if fate is Fate.WITH_NOISE:
            self.deliver(target, NOISE, 0.009)
        for delay in self.delays[fate]:
            self.deliver(target, datagram, delay)

    def deliver(self, target: Machine, datagram: bytes, delay: float) -> None:
        heapq.heappush(self.queue, (self.now + delay, next(self.serial), target, datagram))

    def feed(self) -> None:
        while self.sender.wanted():
            chunk, self.content = self.content[: self.chunk], self.content[self.chunk :]
            commands = self.sender.supply(chunk, self.now, last=not self.content)
            self.perform(self.sender, commands)

    def run(self, opener: Machine, answerer: Machine) -> None:
        """Start one side, the other when it is first reached, and go on until all is quiet."""
        self.perform(opener, opener.start(0.0))
        started = False
        while step := self.next_step():
            self.now, machine, datagram = step
            if datagram is None:
                commands = machine.timeout(self.now)
            elif machine is answerer and datagram == NOISE and not started:
                commands = []  # no transfer has begun: the server's own port answers
            elif machine is answerer and not started:
                started = True
                commands = machine.start(self.now)
            elif machine is answerer and datagram[:2] in {b"\0\1", b"\0\2"}:
                commands = []  # the request again: the server's own timer answers
            else:
                commands = machine.receive(datagram, self.now)
            self.perform(machine, commands)
            self.feed()

    def next_step(self) -> tuple[float, Machine, bytes | None] | None:
        steps: list[tuple[float, Machine, bytes | None]] = []
        if self.queue:
            steps.append((self.queue[0][0], self.queue[0][2], self.queue[0][3]))
        for machine in (self.sender, self.receiver):
            deadline = machine.deadline()
            if deadline is not None:
                steps.append((max(deadline, self.now), machine, None))
        if not steps:
            return None
        first = min(steps, key=lambda step: step[0])
        if first[2] is not None:
            heapq.heappop(self.queue)
        return first


@dataclass(frozen=True)
class Kind:
    """What a transfer is like, beside its content."""

    blksize: int
    windowsize: int
    write: bool = False
    timeout: float = TIMEOUT
    tries: int = 3

    def machines(self) -> tuple[Sender, Receiver]:
        """Return the two sides, one of them a client that asks for this, the other its server."""
        unset = Terms(timeout=self.timeout)
        asked: Pairs = (("blksize", str(self.blksize)), ("windowsize", str(self.windowsize)))
        terms, answer = negotiate(asked, Offer(unset))
        assert accept(asked, answer, unset) == terms
        opcode = Opcode.WRQ if self.write else Opcode.RRQ
        request = Request(opcode, "f", "octet", asked).encode()
        oack = Oack(answer).encode()
        if self.write:
            sender = Sender(unset, tries=self.tries, opening=request, asked=asked)
            return sender, Receiver(terms, tries=self.tries, opening=oack, linger=100.0)
        sender = Sender(terms, tries=self.tries, opening=oack)
        return sender, Receiver(unset, tries=self.tries, opening=request, asked=asked, linger=100.0)

    def carry(self, net: Network) -> None:
        """Carry out the whole transfer."""
        net.feed()
        if self.write:
            net.run(net.sender, net.receiver)
        else:
            net.run(net.receiver, net.sender)


def network(content: bytes, fates: list[Fate], kind: Kind) -> Network:
    """Return a network after a whole transfer between a client and a server."""
    net = Network(*kind.machines(), content, iter(fates))
    kind.carry(net)
    return net


MISHAPS = [fate for fate in Fate if fate is not Fate.WITH_NOISE]
FATES = st.lists(st.sampled_from(MISHAPS), max_size=60)
FATES_AND_NOISE = st.lists(st.sampled_from(Fate), max_size=60)
CONTENTS = st.binary(max_size=400)


def kinds(tries: int) -> st.SearchStrategy[Kind]:
    return st.builds(
        Kind, st.integers(8, 20), st.integers(1, 6), st.booleans(), tries=st.just(tries)
    )


@settings(max_examples=400, deadline=None)
@given(CONTENTS, FATES, kinds(tries=100))
def test_patient_sides_always_complete(content: bytes, fates: list[Fate], kind: Kind):
    net = network(content, fates, kind)
    assert b"".join(net.written) == content
    assert net.complete
    assert [net.ends[machine].outcome for machine in (net.sender, net.receiver)] == [
        Outcome.COMPLETE,
        Outcome.COMPLETE,
    ]
    # Nothing multiplies: a mishap costs a window and its answers, and no more.
    mishaps = sum(fate is not Fate.ARRIVES for fate in fates)
    blocks = len(content) // kind.blksize + 1
    assert net.sends <= 2 * blocks + 4 + mishaps * 3 * (kind.windowsize + 1)


@settings(max_examples=400, deadline=None)
@given(CONTENTS, FATES_AND_NOISE, kinds(tries=2))
def test_impatient_sides_complete_or_say_that_they_did_not(
    content: bytes, fates: list[Fate], kind: Kind
):
    net = network(content, fates, kind)
    written = b"".join(net.written)
    assert content.startswith(written)
    assert not net.complete or written == content
    sender = net.ends.get(net.sender)
    if sender is not None and sender.outcome is Outcome.COMPLETE:
        assert net.complete
    for end in net.ends.values():
        # Noise is answered to whom it seems to come from, and he ends with that.
        noise = end.outcome is Outcome.REFUSED and end.code == TftpErrorCode.ILLEGAL_OPERATION
        assert end.outcome in {Outcome.COMPLETE, Outcome.TIMED_OUT} or noise
        assert not noise or Fate.WITH_NOISE in fates
    # Whoever began has ended.
    assert (net.sender if kind.write else net.receiver) in net.ends


@given(CONTENTS, kinds(tries=1))
def test_undisturbed_transfer_repeats_nothing(content: bytes, kind: Kind):
    net = network(content, [], kind)
    assert b"".join(net.written) == content
    assert (net.sender.resent, net.receiver.resent) == (0, 0)
    assert net.sender.done == net.receiver.done == len(content)
    assert net.sender.acknowledged_blocks == net.receiver.acknowledged_blocks
    assert net.sender.heard
    assert net.receiver.heard
    assert net.sender.rtt == pytest.approx(0.02)
    assert net.receiver.rtt == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("windowsize", "write", "speed"),
    [
        pytest.param(1, False, 100_000, id="lock-step read"),
        pytest.param(1, True, 100_000, id="lock-step write"),
        pytest.param(16, False, 1_700_000, id="windowed read"),
        pytest.param(16, True, 1_700_000, id="windowed write"),
        pytest.param(64, False, 4_000_000, id="read in large windows"),
        pytest.param(64, True, 4_000_000, id="write in large windows"),
    ],
)
def test_lossy_link_is_fast(windowsize: int, write: bool, speed: int):
    """One packet in a hundred is lost, and each way takes 5 ms."""
    random = Random(7)
    kind = Kind(1428, windowsize, write, timeout=5.0, tries=5)
    net = Network(
        *kind.machines(),
        bytes(5 * speed),
        (Fate.LOST if random.random() < 0.01 else Fate.ARRIVES for _ in count()),
        {Fate.LOST: (), Fate.ARRIVES: (0.005,)},
        chunk=1 << 18,
    )
    kind.carry(net)
    assert net.complete
    assert len(net.content) == 0
    assert net.seconds < 5.0
