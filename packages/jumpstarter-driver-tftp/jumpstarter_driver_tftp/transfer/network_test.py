"""A sender and a receiver against each other, through a network that does its worst."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from jumpstarter_driver_tftp.options import Offer, Pairs, Terms, accept, negotiate
from jumpstarter_driver_tftp.packet import Oack, Opcode, Request
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


DELAYS = {
    Fate.ARRIVES: (0.01,),
    Fate.LOST: (),
    Fate.TWICE: (0.01, 0.012),
    Fate.LATE: (0.035,),
    Fate.VERY_LATE: (1.5 * TIMEOUT,),
    Fate.WRONG_SOURCE: (),
}


@dataclass
class Network:
    """Two machines, and what is on its way between them."""

    sender: Sender
    receiver: Receiver
    content: bytes
    fates: Iterator[Fate]
    now: float = 0.0
    written: bytes = b""
    complete: bool = False
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
                    self.written += data
                    self.complete = last
                case Finish():
                    assert machine not in self.ends
                    self.ends[machine] = command

    def send(self, source: Machine, datagram: bytes) -> None:
        self.sends += 1
        target = self.receiver if source is self.sender else self.sender
        for delay in DELAYS[next(self.fates, Fate.ARRIVES)]:
            heapq.heappush(self.queue, (self.now + delay, next(self.serial), target, datagram))

    def feed(self) -> None:
        while self.sender.wanted():
            chunk, self.content = self.content[:7], self.content[7:]
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


def network(
    content: bytes, fates: list[Fate], *, blksize: int, windowsize: int, tries: int, write: bool
) -> Network:
    """Return a network after a whole transfer between a client and a server."""
    asked: Pairs = (("blksize", str(blksize)), ("windowsize", str(windowsize)))
    terms, answer = negotiate(asked, Offer(Terms(timeout=TIMEOUT)))
    assert accept(asked, answer, Terms(timeout=TIMEOUT)) == terms
    opcode = Opcode.WRQ if write else Opcode.RRQ
    request = Request(opcode, "f", "octet", asked).encode()
    oack = Oack(answer).encode()
    unset = Terms(timeout=TIMEOUT)
    if write:
        sender = Sender(unset, tries=tries, opening=request, asked=asked)
        receiver = Receiver(terms, tries=tries, opening=oack, linger=100.0)
    else:
        sender = Sender(terms, tries=tries, opening=oack)
        receiver = Receiver(unset, tries=tries, opening=request, asked=asked, linger=100.0)
    net = Network(sender, receiver, content, iter(fates))
    net.feed()
    net.run(*((sender, receiver) if write else (receiver, sender)))
    return net


FATES = st.lists(st.sampled_from(Fate), max_size=60)
CASES = {
    "content": st.binary(max_size=400),
    "blksize": st.integers(8, 20),
    "windowsize": st.integers(1, 6),
    "write": st.booleans(),
}


@settings(max_examples=400, deadline=None)
@given(fates=FATES, **CASES)
def test_patient_sides_always_complete(
    content: bytes, fates: list[Fate], blksize: int, windowsize: int, *, write: bool
):
    net = network(content, fates, blksize=blksize, windowsize=windowsize, tries=100, write=write)
    assert net.written == content
    assert net.complete
    assert [net.ends[machine].outcome for machine in (net.sender, net.receiver)] == [
        Outcome.COMPLETE,
        Outcome.COMPLETE,
    ]
    # Nothing multiplies: a mishap costs a window and its answers, and no more.
    mishaps = sum(fate is not Fate.ARRIVES for fate in fates)
    blocks = len(content) // blksize + 1
    assert net.sends <= 2 * blocks + 4 + mishaps * 3 * (windowsize + 1)


@settings(max_examples=400, deadline=None)
@given(fates=FATES, **CASES)
def test_impatient_sides_complete_or_say_that_they_did_not(
    content: bytes, fates: list[Fate], blksize: int, windowsize: int, *, write: bool
):
    net = network(content, fates, blksize=blksize, windowsize=windowsize, tries=2, write=write)
    assert content.startswith(net.written)
    if net.complete:
        assert net.written == content
    sender = net.ends.get(net.sender)
    if sender is not None and sender.outcome is Outcome.COMPLETE:
        assert net.complete
    for end in net.ends.values():
        assert end.outcome in {Outcome.COMPLETE, Outcome.TIMED_OUT}
    # Whoever began has ended.
    assert (net.sender if write else net.receiver) in net.ends


@given(**CASES)
def test_undisturbed_transfer_repeats_nothing(
    content: bytes, blksize: int, windowsize: int, *, write: bool
):
    net = network(content, [], blksize=blksize, windowsize=windowsize, tries=1, write=write)
    assert net.written == content
    assert (net.sender.resent, net.receiver.resent) == (0, 0)
