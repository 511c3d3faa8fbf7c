"""The receiving machine, case by case: what goes in, what comes out."""

import pytest

from jumpstarter_driver_tftp.netascii import Decoder
from jumpstarter_driver_tftp.options import Pairs, Terms
from jumpstarter_driver_tftp.packet import Ack, Data, Error, Oack, Opcode, Request, parse
from jumpstarter_driver_tftp.transfer import Command, Finish, Outcome, Receiver, Send, Write

ASKED: Pairs = (("blksize", "8"), ("windowsize", "3"))
RRQ = Request(Opcode.RRQ, "f", "octet", ASKED)
COMPLETE = Finish(Outcome.COMPLETE)


def client(*, linger: float = 0.0, tries: int = 3) -> Receiver:
    """Return a reading client's machine that has sent its request."""
    machine = Receiver(
        Terms(8, timeout=1.0), tries=tries, opening=RRQ.encode(), asked=ASKED, linger=linger
    )
    assert packets(machine.start(0.0)) == [RRQ]
    return machine


def windowed() -> Receiver:
    """Return a machine with blocks of 8 in windows of 3 that waits for block 1."""
    machine = client()
    assert packets(machine.receive(Oack(ASKED).encode(), 0.0)) == [Ack(0)]
    return machine


def packets(commands: list[Command]) -> list[object]:
    """Return the packets that are to be sent, and the rest as it is."""
    return [parse(item.datagram) if isinstance(item, Send) else item for item in commands]


def data(machine: Receiver, block: int, content: bytes, now: float = 0.1) -> list[object]:
    return packets(machine.receive(Data(block, content).encode(), now))


def test_file_arrives_in_lock_step():
    machine = client()
    assert data(machine, 1, b"12345678") == [Write(b"12345678", last=False), Ack(1)]
    assert data(machine, 2, b"9") == [Write(b"9", last=True), Ack(2), COMPLETE]
    assert (machine.done, machine.acknowledged_blocks) == (9, 2)
    assert machine.deadline() is None


def test_empty_file_and_exact_multiple_end_with_an_empty_block():
    assert data(client(), 1, b"") == [Write(b"", last=True), Ack(1), COMPLETE]


def test_repeated_block_is_acknowledged_but_not_written():
    machine = client()
    data(machine, 1, b"12345678")
    assert data(machine, 1, b"12345678") == [Ack(1)]
    assert data(machine, 1, b"12345678") == [Ack(1)]
    data(machine, 2, b"12345678")
    assert data(machine, 1, b"12345678") == []


@pytest.mark.parametrize("block", [0, 2, 65535])
def test_block_of_another_transfer_is_not_taken_for_the_first(block: int):
    machine = client()
    assert data(machine, block, b"12345678") == []
    assert machine.deadline() == 1.0


def test_silence_repeats_the_request_and_then_ends():
    machine = client(tries=2)
    assert machine.timeout(0.9) == []
    assert packets(machine.timeout(1.0)) == [RRQ]
    assert machine.timeout(2.0) == [Finish(Outcome.TIMED_OUT, text="no answer")]


def test_silence_repeats_the_last_ack():
    machine = client()
    data(machine, 1, b"12345678", 0.5)
    assert packets(machine.timeout(1.5)) == [Ack(1)]
    assert machine.resent == 1


def test_oack_sets_the_terms():
    machine = windowed()
    assert machine.terms == Terms(8, 3, timeout=1.0)


def test_lost_ack_0_is_sent_again():
    machine = windowed()
    assert packets(machine.receive(Oack(ASKED).encode(), 0.2)) == [Ack(0)]
    data(machine, 1, b"abcdABCD")
    assert machine.receive(Oack(ASKED).encode(), 0.3) == []


def test_wrong_oack_gets_error_8():
    [answer, finish] = packets(client().receive(Oack((("blksize", "9"),)).encode(), 0.1))
    assert isinstance(answer, Error)
    assert answer.code == 8
    assert finish == Finish(Outcome.FAILED, 8, answer.text)


def test_server_that_ignores_options_gets_lock_step():
    machine = client()
    assert data(machine, 1, b"12345678") == [Write(b"12345678", last=False), Ack(1)]


def test_block_larger_than_agreed_ends_the_transfer():
    [answer, finish] = data(client(), 1, b"123456789")
    assert isinstance(answer, Error)
    assert answer.code == 4
    assert finish == Finish(Outcome.FAILED, 4, answer.text)


def test_error_ends_and_is_not_answered():
    machine = client()
    gone = Error(1, "File not found").encode()
    assert machine.receive(gone, 0.1) == [Finish(Outcome.REFUSED, 1, "File not found")]
    assert machine.receive(gone, 0.2) == []


@pytest.mark.parametrize(
    ("datagram", "text"),
    [
        pytest.param(b"\0", "Malformed packet", id="short"),
        pytest.param(Ack(0).encode(), "Unexpected opcode", id="ack"),
        pytest.param(RRQ.encode(), "Unexpected opcode", id="request"),
    ],
)
def test_bad_packet_gets_error_4_and_disturbs_nothing(datagram: bytes, text: str):
    machine = client()
    assert packets(machine.receive(datagram, 0.5)) == [Error(4, text)]
    assert data(machine, 1, b"1") == [Write(b"1", last=True), Ack(1), COMPLETE]


def test_window_is_acknowledged_at_its_end():
    machine = windowed()
    assert data(machine, 1, b"abcdABCD") == [Write(b"abcdABCD", last=False)]
    assert data(machine, 2, b"efghEFGH") == [Write(b"efghEFGH", last=False)]
    assert data(machine, 3, b"ijklIJKL") == [Write(b"ijklIJKL", last=False), Ack(3)]


def test_partial_last_window_completes():
    machine = windowed()
    assert data(machine, 1, b"abcdABCD") == [Write(b"abcdABCD", last=False)]
    assert data(machine, 2, b"") == [Write(b"", last=True), Ack(2), COMPLETE]


def test_gap_is_reported_once():
    machine = windowed()
    data(machine, 1, b"abcdABCD")
    assert data(machine, 3, b"ijklIJKL") == [Ack(1)]
    assert data(machine, 3, b"ijklIJKL") == []
    assert data(machine, 2, b"efghEFGH") == [Write(b"efghEFGH", last=False)]


def test_window_that_comes_twice_is_acknowledged_once_more():
    machine = windowed()
    for block in (1, 2, 3):
        data(machine, block, b"abcdABCD")
    answers = [data(machine, block, b"abcdABCD") for block in (1, 2, 3, 1, 2, 3)]
    assert answers == [[], [], [Ack(3)], [], [], []]


def test_lingering_repeats_the_last_ack_until_its_time_is_over():
    machine = client(linger=2.0)
    assert data(machine, 1, b"x", 0.5) == [Write(b"x", last=True), Ack(1)]
    assert data(machine, 1, b"x", 1.0) == [Ack(1)]
    assert machine.timeout(2.4) == []
    assert machine.timeout(2.5) == [COMPLETE]


def test_error_while_lingering_changes_nothing():
    machine = client(linger=2.0)
    data(machine, 1, b"x")
    assert machine.receive(Error(0, "late").encode(), 0.2) == [COMPLETE]


def test_netascii_is_translated_across_blocks():
    machine = Receiver(Terms(4), tries=3, opening=b"", codec=Decoder())
    assert data(machine, 1, b"abc\r") == [Write(b"abc", last=False), Ack(1)]
    assert data(machine, 2, b"\nd\r") == [Write(b"\nd\r", last=True), Ack(2), COMPLETE]


def test_server_takes_no_oack():
    machine = Receiver(Terms(4, timeout=1.0), tries=3, opening=Ack(0).encode())
    assert packets(machine.start(0.0)) == [Ack(0)]
    assert packets(machine.receive(Oack(ASKED).encode(), 0.1)) == [Error(4, "Unexpected opcode")]
    assert packets(machine.timeout(1.0)) == [Ack(0)]


def bounded(max_bytes: int, *, decoder: bool = False) -> Receiver:
    """Return a server's machine that takes so many bytes and no more."""
    codec = Decoder() if decoder else None
    opening = Ack(0).encode()
    machine = Receiver(Terms(4), tries=3, opening=opening, codec=codec, max_bytes=max_bytes)
    machine.start(0.0)
    return machine


@pytest.mark.parametrize(
    ("max_bytes", "content"),
    [
        pytest.param(0, b"", id="nothing"),
        pytest.param(3, b"abc", id="less than a block"),
        pytest.param(4, b"abcd", id="one block"),
        pytest.param(10, b"abcdefghij", id="blocks and a bit"),
    ],
)
def test_file_as_large_as_the_bound_is_taken(max_bytes: int, content: bytes):
    machine = bounded(max_bytes)
    pieces = [content[at : at + 4] for at in range(0, len(content) + 1, 4)]
    commands = [data(machine, block, piece) for block, piece in enumerate(pieces, 1)]
    assert commands[-1][-1] == COMPLETE


@pytest.mark.parametrize(
    ("max_bytes", "pieces"),
    [
        pytest.param(0, [b"a"], id="anything"),
        pytest.param(3, [b"abcd"], id="in the first block"),
        pytest.param(4, [b"abcd", b"e"], id="in the last block"),
        pytest.param(7, [b"abcd", b"efgh"], id="in a block between"),
    ],
)
def test_larger_file_gets_error_3_and_the_block_is_not_written(max_bytes: int, pieces: list[bytes]):
    machine = bounded(max_bytes)
    text = f"File is larger than {max_bytes} bytes"
    *before, last = enumerate(pieces, 1)
    for block, piece in before:
        assert data(machine, block, piece) == [Write(piece, last=False), Ack(block)]
    assert data(machine, *last) == [Error(3, text), Finish(Outcome.FAILED, 3, text)]
    assert machine.done == 4 * len(before)
    assert machine.deadline() is None


def test_bound_counts_what_is_written():
    machine = bounded(3, decoder=True)
    assert data(machine, 1, b"a\r\nb") == [Write(b"a\nb", last=False), Ack(1)]
    assert data(machine, 2, b"") == [Write(b"", last=True), Ack(2), COMPLETE]
    machine = bounded(3, decoder=True)
    data(machine, 1, b"abc\r")  # the CR is written only when it is known what it means
    [answer, _] = data(machine, 2, b"")
    assert isinstance(answer, Error)
    assert answer.code == 3


def uploaded() -> Receiver:
    """Return a server's machine that has granted windows of 3 and waits for block 1."""
    machine = Receiver(Terms(8, 3, timeout=1.0), tries=3, opening=Oack(ASKED).encode())
    assert packets(machine.start(0.0)) == [Oack(ASKED)]
    return machine


def test_lost_first_block_is_reported():
    machine = uploaded()
    assert data(machine, 2, b"12345678") == [Ack(0)]
    assert data(machine, 3, b"12345678") == []
    assert data(machine, 1, b"12345678") == [Write(b"12345678", last=False)]


def test_first_answer_is_repeated_on_demand_until_it_is_taken_up():
    machine = uploaded()
    assert packets(machine.repeat()) == [Oack(ASKED)]
    assert machine.resent == 1
    assert machine.deadline() == 1.0
    data(machine, 1, b"12345678")
    assert machine.repeat() == []


def test_abort_tells_the_far_side():
    machine = client()
    assert packets(machine.abort(3, "disk full")) == [
        Error(3, "disk full"),
        Finish(Outcome.FAILED, 3, "disk full"),
    ]
