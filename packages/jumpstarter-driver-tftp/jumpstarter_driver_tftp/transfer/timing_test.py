"""When the machines send again, and what they know of the round trip."""

import pytest

from jumpstarter_driver_tftp.options import Terms
from jumpstarter_driver_tftp.packet import Ack, Data, Error, Oack, Opcode, Request
from jumpstarter_driver_tftp.transfer import Finish, Outcome, Receiver, Send, Sender

OACK = Oack((("blksize", "8"),)).encode()
RRQ = Request(Opcode.RRQ, "f", "octet").encode()
GAVE_UP = [Finish(Outcome.TIMED_OUT, text="no answer")]
GIVEN = Terms(8, timeout=2.0, exact_timeout=True)
Machine = Sender | Receiver


def ack(block: int) -> bytes:
    return Ack(block).encode()


def data(block: int, content: bytes = b"12345678") -> bytes:
    return Data(block, content).encode()


def sender(terms: Terms | None = None, *, opening: bytes | None = OACK) -> Sender:
    machine = Sender(terms or Terms(8), tries=3, opening=opening)
    machine.supply(bytes(8 * 20), 0.0, last=True)
    machine.start(0.0)
    return machine


def receiver(windowsize: int = 1) -> Receiver:
    machine = Receiver(Terms(8, windowsize), tries=3, opening=ack(0))
    machine.start(0.0)
    return machine


def silence(machine: Machine) -> list[float]:
    """Never answer; return when the machine sent again, and then when it gave up."""
    times: list[float] = []
    while (due := machine.deadline()) is not None:
        assert machine.timeout(due - 0.001) == []
        commands = machine.timeout(due)
        times.append(round(due, 6))
        assert (commands == GAVE_UP) == (machine.deadline() is None)
    return times


@pytest.mark.parametrize(
    ("machine", "times"),
    [
        pytest.param(sender(), [1, 3, 7], id="sender, oack"),
        pytest.param(sender(opening=None), [1, 3, 7], id="sender, first block"),
        pytest.param(sender(GIVEN), [2, 4, 6], id="sender, given"),
        pytest.param(receiver(), [1, 3, 7], id="receiver"),
    ],
)
def test_nobody_there_gets_as_many_packets_as_there_are_tries(machine: Machine, times: list[float]):
    assert silence(machine) == times
    assert machine.resent == 2
    assert not machine.heard
    assert machine.rtt is None


def test_far_side_that_was_heard_may_stall():
    machine = sender()
    machine.receive(ack(0), 0.01)
    assert machine.heard
    assert machine.rtt == pytest.approx(0.01)
    waits = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert silence(machine) == pytest.approx([0.01 + sum(waits[: n + 1]) for n in range(10)])
    assert machine.resent == 9


def test_receiver_that_heard_may_wait_for_a_stalled_sender():
    machine = receiver()
    machine.receive(data(1), 0.02)
    assert machine.heard
    times = silence(machine)
    assert times[0] == pytest.approx(0.02 + 0.06)
    assert times[-1] > 3 * 5.0
    assert machine.resent == len(times) - 1


def test_given_timeout_holds_after_an_answer_too():
    machine = sender(GIVEN)
    machine.receive(ack(0), 1.0)
    assert silence(machine) == [3.0, 5.0, 7.0]


def test_client_keeps_to_the_timeout_that_it_asked_for():
    asked = (("timeout", "3"),)
    writer = Sender(Terms(), tries=3, opening=b"", asked=asked)
    writer.supply(b"x", 0.0, last=True)
    reader = Receiver(Terms(), tries=3, opening=b"", asked=asked)
    for machine in (writer, reader):
        machine.start(0.0)
        assert machine.deadline() == 1.0
        machine.receive(Oack(asked).encode(), 0.5)
        assert silence(machine) == [3.5, 6.5, 9.5]


def test_sender_measures_the_round_trip_by_each_block():
    machine = sender()
    for block in range(4):
        machine.receive(ack(block), 0.1 * (block + 1))
    assert machine.rtt == pytest.approx(0.1)
    assert machine.deadline() == pytest.approx(0.4 + 0.1 + 4 * 0.05 * 0.75**3)


def test_block_that_was_sent_twice_measures_nothing():
    machine = sender()
    machine.receive(ack(0), 0.1)
    machine.timeout(0.4)
    machine.receive(ack(1), 0.41)  # to which of the two?
    assert machine.rtt == pytest.approx(0.1)
    assert machine.deadline() == pytest.approx(0.41 + 0.6)
    machine.receive(ack(2), 0.51)
    assert machine.deadline() == pytest.approx(0.51 + 0.25)


def test_opening_that_was_sent_twice_measures_nothing():
    for machine, answer in ((sender(), ack(0)), (receiver(), data(1))):
        machine.timeout(1.0)
        machine.receive(answer, 1.01)
        assert machine.heard
        assert machine.rtt is None
        repeated = sender() if isinstance(machine, Sender) else receiver()
        repeated.repeat()
        repeated.receive(answer, 0.01)
        assert repeated.rtt is None


def test_window_measures_by_its_last_block():
    machine = sender(Terms(8, 4))
    machine.receive(ack(0), 0.1)
    machine.receive(ack(4), 0.3)
    assert machine.rtt == pytest.approx(0.1 + 0.1 / 8)
    machine.receive(ack(6), 0.5)  # 7 was lost: what is sent again measures nothing
    machine.receive(ack(8), 0.51)
    assert machine.rtt == pytest.approx(0.1 + 0.1 / 8)


def test_window_that_waits_for_our_storage_has_no_deadline_and_measures_from_its_end():
    machine = Sender(Terms(8, 4), tries=3, opening=OACK)
    machine.start(0.0)
    machine.supply(bytes(16), 0.0, last=False)
    machine.receive(ack(0), 0.1)
    assert machine.deadline() is None
    assert machine.timeout(60.0) == []
    machine.supply(bytes(16), 60.0, last=False)
    assert machine.deadline() == pytest.approx(60.3)
    machine.receive(ack(4), 60.1)
    assert machine.rtt == pytest.approx(0.1)


def test_gap_is_answered_at_once():
    machine = sender(Terms(8, 16))
    machine.receive(ack(0), 0.01)
    sent = [item for item in machine.receive(ack(5), 0.02) if isinstance(item, Send)]
    numbers = [int.from_bytes(item.datagram[2:4], "big") for item in sent]
    assert numbers == list(range(6, 22))
    assert machine.resent == 11


def test_gap_that_nobody_reports_is_closed_after_the_shortest_wait():
    machine = sender(Terms(8, 16))
    machine.receive(ack(0), 0.01)
    assert machine.deadline() == pytest.approx(0.06)
    assert len(machine.timeout(0.061)) == 16


def test_receiver_measures_from_an_ack_to_the_next_block():
    machine = receiver(windowsize=2)
    machine.receive(data(1), 0.1)
    machine.receive(data(2), 0.15)  # which was not asked for
    assert machine.rtt == pytest.approx(0.1)
    machine.receive(data(3), 0.25)
    assert machine.rtt == pytest.approx(0.1)
    machine.receive(data(4), 0.26)
    machine.timeout(9.0)
    machine.receive(data(5), 9.01)
    assert machine.rtt == pytest.approx(0.1)


def test_error_is_an_answer():
    for machine in (sender(), receiver()):
        machine.receive(Error(8, "no").encode(), 0.1)
        assert machine.heard


def test_bytes_and_blocks_that_are_done():
    machine = Sender(Terms(8), tries=3)
    machine.supply(b"12345678abc", 0.0, last=True)
    machine.start(0.0)
    seen = [(machine.acknowledged_blocks, machine.done, machine.heard)]
    for block in (1, 2):
        machine.receive(ack(block), 0.1)
        seen.append((machine.acknowledged_blocks, machine.done, machine.heard))
    assert seen == [(0, 0, False), (1, 8, True), (2, 11, True)]
