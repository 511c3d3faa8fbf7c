"""The sending machine, case by case: what goes in, what comes out."""

import pytest

from jumpstarter_driver_tftp.netascii import Encoder
from jumpstarter_driver_tftp.options import Terms
from jumpstarter_driver_tftp.packet import Ack, Data, Error, Oack, Opcode, Request, parse
from jumpstarter_driver_tftp.transfer import Command, Finish, Outcome, Send, Sender

OACK = Oack((("blksize", "4"),))


def sender(content: bytes, *, blksize: int = 4, windowsize: int = 1, tries: int = 3) -> Sender:
    """Return a machine that has its whole file and waits to start."""
    machine = Sender(Terms(blksize, windowsize, timeout=1.0), tries=tries)
    machine.supply(content, 0.0, last=True)
    return machine


def packets(commands: list[Command]) -> list[object]:
    """Return the packets that are to be sent, and the rest as it is."""
    return [parse(item.datagram) if isinstance(item, Send) else item for item in commands]


def blocks(commands: list[Command]) -> list[int]:
    """Return the numbers of the blocks that are to be sent; nothing else may be there."""
    numbers: list[int] = []
    for packet in packets(commands):
        assert isinstance(packet, Data), packet
        numbers.append(packet.block)
    return numbers


def ack(block: int) -> bytes:
    return Ack(block).encode()


def drain(machine: Sender) -> list[object]:
    """Acknowledge each block when it comes; return all that was sent, to the end."""
    seen = packets(machine.start(0.0))
    for item in seen:
        if isinstance(item, Data):
            seen += packets(machine.receive(ack(item.block), 0.0))
    return seen


COMPLETE = Finish(Outcome.COMPLETE)


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        pytest.param(b"", [Data(1, b"")], id="empty file"),
        pytest.param(b"abc", [Data(1, b"abc")], id="less than a block"),
        pytest.param(b"abcd", [Data(1, b"abcd"), Data(2, b"")], id="one exact block"),
        pytest.param(b"abcde", [Data(1, b"abcd"), Data(2, b"e")], id="a block and a bit"),
        pytest.param(
            b"abcdefgh", [Data(1, b"abcd"), Data(2, b"efgh"), Data(3, b"")], id="exact multiple"
        ),
    ],
)
def test_blocks_of_a_file(content: bytes, sent: list[object]):
    assert drain(sender(content)) == [*sent, COMPLETE]


def test_duplicate_ack_sends_nothing():
    machine = sender(b"abcdefghijkl")
    machine.start(0.0)
    assert blocks(machine.receive(ack(1), 0.1)) == [2]
    assert machine.receive(ack(1), 0.2) == []
    assert machine.receive(ack(1), 0.3) == []
    assert machine.deadline() == pytest.approx(0.1 + 3 * 0.1)
    assert blocks(machine.receive(ack(2), 0.4)) == [3]


@pytest.mark.parametrize("block", [0, 2, 3, 9, 65535])
def test_ack_of_what_was_not_sent_does_nothing(block: int):
    machine = sender(b"abcdefghijkl")
    machine.start(0.0)
    assert machine.receive(ack(block), 0.1) == []
    assert blocks(machine.receive(ack(1), 0.2)) == [2]


def test_silence_repeats_the_block_and_then_ends():
    machine = sender(b"abcdefgh", tries=3)
    first = machine.start(10.0)
    assert machine.deadline() == 11.0
    assert machine.timeout(10.9) == []
    assert machine.timeout(11.0) == first
    assert machine.deadline() == 12.0
    assert machine.timeout(12.0) == first
    assert machine.timeout(13.0) == [Finish(Outcome.TIMED_OUT, text="no answer")]
    assert machine.deadline() is None
    assert machine.resent == 2


def test_progress_starts_the_tries_afresh():
    machine = sender(b"abcdefgh", tries=2)
    machine.start(0.0)
    machine.timeout(1.0)
    machine.receive(ack(1), 1.5)
    assert blocks(machine.timeout(2.5)) == [2]
    assert packets(machine.timeout(3.5)) == [Finish(Outcome.TIMED_OUT, text="no answer")]


def test_error_ends_and_is_not_answered():
    machine = sender(b"abcdefgh")
    machine.start(0.0)
    assert machine.receive(Error(3, "full").encode(), 0.1) == [Finish(Outcome.REFUSED, 3, "full")]
    assert machine.receive(ack(1), 0.2) == []
    assert machine.deadline() is None


@pytest.mark.parametrize(
    ("datagram", "text"),
    [
        pytest.param(b"", "Malformed packet", id="empty"),
        pytest.param(b"\0\4\0", "Malformed packet", id="ack cut short"),
        pytest.param(b"\0\11\0\0", "Unknown opcode", id="unknown opcode"),
        pytest.param(Data(1, b"x").encode(), "Unexpected opcode", id="data"),
        pytest.param(OACK.encode(), "Unexpected opcode", id="oack to a server"),
        pytest.param(Request(Opcode.RRQ, "a", "octet").encode(), "Unexpected opcode", id="rrq"),
    ],
)
def test_bad_packet_gets_error_4_and_disturbs_nothing(datagram: bytes, text: str):
    machine = sender(b"abcdefgh")
    machine.start(0.0)
    assert packets(machine.receive(datagram, 0.5)) == [Error(4, text)]
    assert machine.deadline() == 1.0
    assert blocks(machine.receive(ack(1), 0.6)) == [2]


def opened() -> Sender:
    """Return a server's machine that has sent its OACK."""
    machine = Sender(Terms(4, timeout=1.0), tries=3, opening=OACK.encode())
    machine.supply(b"abcdef", 0.0, last=True)
    assert packets(machine.start(0.0)) == [OACK]
    return machine


def test_oack_waits_for_ack_0():
    machine = opened()
    assert machine.receive(ack(1), 0.1) == []
    assert packets(machine.receive(ack(0), 0.2)) == [Data(1, b"abcd")]
    assert machine.receive(ack(0), 0.3) == []
    assert packets(machine.receive(ack(1), 0.4)) == [Data(2, b"ef")]


def test_oack_is_repeated():
    machine = opened()
    assert packets(machine.timeout(1.0)) == [OACK]


def test_error_8_ends_a_negotiation():
    machine = opened()
    assert machine.receive(Error(8, "no").encode(), 0.1) == [Finish(Outcome.REFUSED, 8, "no")]


def test_abort_tells_the_far_side_once():
    machine = opened()
    assert packets(machine.abort(0, "stopping")) == [
        Error(0, "stopping"),
        Finish(Outcome.FAILED, 0, "stopping"),
    ]
    assert machine.abort(0, "stopping") == []


CLIENT_OACK = Oack((("blksize", "8"),))
WRQ = Request(Opcode.WRQ, "f", "octet", CLIENT_OACK.options)


def client(content: bytes = b"abcdefghij") -> Sender:
    """Return a writing client's machine that has sent its request."""
    machine = Sender(Terms(timeout=1.0), tries=3, opening=WRQ.encode(), asked=(("blksize", "8"),))
    machine.supply(content, 0.0, last=True)
    assert packets(machine.start(0.0)) == [WRQ]
    return machine


def test_client_takes_an_oack():
    machine = client()
    assert packets(machine.receive(CLIENT_OACK.encode(), 0.1)) == [Data(1, b"abcdefgh")]
    assert machine.receive(CLIENT_OACK.encode(), 0.2) == []


def test_client_goes_on_without_options():
    assert packets(client().receive(ack(0), 0.1)) == [Data(1, b"abcdefghij")]


def test_client_refuses_a_wrong_oack_with_error_8():
    [answer, finish] = packets(client().receive(Oack((("blksize", "9"),)).encode(), 0.1))
    assert isinstance(answer, Error)
    assert answer.code == 8
    assert finish == Finish(Outcome.FAILED, 8, answer.text)


def test_waiting_for_storage_has_no_deadline():
    machine = Sender(Terms(4, timeout=1.0), tries=3)
    assert machine.wanted() > 0
    assert machine.start(0.0) == []
    assert machine.deadline() is None
    assert blocks(machine.supply(b"abcdef", 5.0, last=False)) == [1]
    assert machine.receive(ack(1), 5.1) == []
    assert machine.deadline() is None
    assert packets(machine.supply(b"", 9.0, last=True)) == [Data(2, b"ef")]
    assert machine.receive(ack(2), 9.1) == [COMPLETE]
    assert machine.wanted() == 0


def test_enough_is_held_and_no_more():
    machine = Sender(Terms(4), tries=3)
    machine.supply(bytes(machine.wanted()), 0.0, last=False)
    assert machine.wanted() == 0


def test_netascii_is_translated_across_blocks():
    machine = Sender(Terms(4), tries=3, codec=Encoder())
    machine.supply(b"abc\n", 0.0, last=False)
    machine.supply(b"\rd", 0.0, last=True)
    assert drain(machine) == [Data(1, b"abc\r"), Data(2, b"\n\r\0d"), Data(3, b""), COMPLETE]


def windowed(blocks_in_file: int = 10) -> Sender:
    """Return a machine with a window of four that has sent its first window, after 0.1 s."""
    machine = Sender(Terms(4, 4, timeout=1.0), tries=3, opening=OACK.encode())
    machine.supply(b"abcd" * (blocks_in_file - 1) + b"z", 0.0, last=True)
    machine.start(-0.1)
    assert blocks(machine.receive(ack(0), 0.0)) == [1, 2, 3, 4]
    assert machine.rtt == pytest.approx(0.1)
    assert machine.deadline() == pytest.approx(0.3)
    return machine


def test_window_advances_as_a_whole():
    machine = windowed()
    assert blocks(machine.receive(ack(4), 0.1)) == [5, 6, 7, 8]
    assert blocks(machine.receive(ack(8), 0.2)) == [9, 10]
    assert machine.receive(ack(10), 0.3) == [COMPLETE]
    assert machine.resent == 0


def test_lost_block_is_resent_from_there():
    machine = windowed()
    assert blocks(machine.receive(ack(2), 0.1)) == [3, 4, 5, 6]
    assert machine.resent == 2


def test_lost_first_block_is_resent_once():
    machine = windowed()
    assert blocks(machine.receive(ack(0), 0.1)) == [1, 2, 3, 4]
    assert machine.receive(ack(0), 0.2) == []


def test_echo_of_a_window_that_was_sent_twice_repeats_nothing():
    machine = windowed()
    assert blocks(machine.timeout(1.0)) == [1, 2, 3, 4]
    assert blocks(machine.receive(ack(4), 1.1)) == [5, 6, 7, 8]
    assert machine.receive(ack(4), 1.2) == []
    assert blocks(machine.receive(ack(8), 1.3)) == [9, 10]


def test_early_ack_inside_a_window_that_was_sent_twice_only_advances():
    machine = windowed()
    machine.timeout(1.0)
    assert blocks(machine.receive(ack(2), 1.04)) == [5, 6]
    assert blocks(machine.timeout(2.1)) == [3, 4, 5, 6]


def test_ack_a_round_trip_after_the_second_time_reports_what_was_lost_again():
    machine = windowed()
    machine.timeout(1.0)
    assert blocks(machine.receive(ack(2), 1.1)) == [3, 4, 5, 6]
    assert machine.receive(ack(2), 1.3) == []


def test_window_with_little_at_hand_goes_out_piece_by_piece():
    machine = Sender(Terms(4, 4), tries=3)
    machine.start(0.0)
    assert blocks(machine.supply(b"abcdabcdab", 0.0, last=False)) == [1, 2]
    assert blocks(machine.supply(b"cdabcdabcdab", 0.1, last=False)) == [3, 4]
    assert blocks(machine.receive(ack(4), 0.2)) == [5]


@pytest.mark.parametrize(
    "sizes",
    [(100_003,), (1, 2, 49_999, 50_001), (33_334, 33_334, 33_335), (99_999, 4, 0)],
)
def test_blocks_do_not_depend_on_the_pieces_that_a_file_comes_in(sizes: tuple[int, ...]):
    content = bytes(index % 251 for index in range(sum(sizes)))
    machine = Sender(Terms(1000, timeout=1.0), tries=3)
    begin = 0
    for number, size in enumerate(sizes, 1):
        machine.supply(content[begin : begin + size], 0.0, last=number == len(sizes))
        begin += size
    seen = drain(machine)
    data = [item.data for item in seen if isinstance(item, Data)]
    assert b"".join(data) == content
    assert [len(block) for block in data] == [1000] * 100 + [3]
    assert seen[-1] == COMPLETE
