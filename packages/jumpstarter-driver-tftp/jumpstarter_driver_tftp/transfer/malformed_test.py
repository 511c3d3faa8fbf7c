"""What each datagram gets that does not belong where it comes: never more than one answer, never
one to an ERROR, and the transfer goes on as if it had not come.

The server's own port has such a table in `requests_test.py`.
"""

from collections.abc import Callable

import pytest

from jumpstarter_driver_tftp.options import Pairs, Terms
from jumpstarter_driver_tftp.packet import Ack, Data, Error, Oack, Opcode, Request
from jumpstarter_driver_tftp.transfer import Finish, Outcome, Receiver, Send, Sender

ASKED: Pairs = (("blksize", "8"), ("windowsize", "2"))
RRQ = Request(Opcode.RRQ, "f", "octet", ASKED).encode()
WRQ = Request(Opcode.WRQ, "f", "octet", ASKED).encode()
OACK = Oack(ASKED).encode()
TERMS = Terms(8, 2)
CONTENT = b"12345678abcdefgh!"
Machine = Sender | Receiver


def fed(machine: Sender) -> Sender:
    machine.supply(CONTENT, 0.0, last=True)
    machine.start(0.0)
    return machine


def started(machine: Receiver) -> Receiver:
    machine.start(0.0)
    return machine


def after(machine: Machine, datagram: bytes) -> Machine:
    machine.receive(datagram, 0.1)
    return machine


def sender_opening() -> Machine:
    """Return a server that has sent its OACK."""
    return fed(Sender(TERMS, tries=3, opening=OACK))


def sender_sending() -> Machine:
    """Return a server that has sent blocks 1 and 2."""
    return after(sender_opening(), Ack(0).encode())


def writer_opening() -> Machine:
    """Return a client that has sent its write request."""
    return fed(Sender(Terms(), tries=3, opening=WRQ, asked=ASKED))


def writer_sending() -> Machine:
    """Return a client that has sent blocks 1 and 2."""
    return after(writer_opening(), OACK)


def reader_opening() -> Machine:
    """Return a client that has sent its read request."""
    return started(Receiver(Terms(), tries=3, opening=RRQ, asked=ASKED, linger=9.0))


def reader_receiving() -> Machine:
    """Return a client that has block 1 and waits for block 2."""
    return after(after(reader_opening(), OACK), Data(1, CONTENT[:8]).encode())


def taker_opening() -> Machine:
    """Return a server that has answered a write request."""
    return started(Receiver(TERMS, tries=3, opening=OACK, linger=9.0))


def taker_receiving() -> Machine:
    """Return a server that has block 1 and waits for block 2."""
    return after(taker_opening(), Data(1, CONTENT[:8]).encode())


def taker_lingering() -> Machine:
    """Return a server that has the whole file, which is one block."""
    return after(taker_opening(), Data(1, b"x").encode())


STATES: dict[Callable[[], Machine], bytes] = {
    sender_opening: Ack(0).encode(),
    sender_sending: Ack(2).encode(),
    writer_opening: OACK,
    writer_sending: Ack(2).encode(),
    reader_opening: OACK,
    reader_receiving: Data(2, CONTENT[8:16]).encode(),
    taker_opening: Data(1, CONTENT[:8]).encode(),
    taker_receiving: Data(2, CONTENT[8:16]).encode(),
    taker_lingering: Data(1, b"x").encode(),
}
"""What a machine may be in the middle of, and the datagram that it waits for."""

MALFORMED = "Malformed packet"
UNKNOWN = "Unknown opcode"
UNEXPECTED = "Unexpected opcode"
NOTHING = None

NO_PACKETS = [
    pytest.param(b"", MALFORMED, id="empty"),
    pytest.param(b"\0", MALFORMED, id="one byte"),
    pytest.param(b"\0\3", MALFORMED, id="data without number"),
    pytest.param(b"\0\4\0", MALFORMED, id="ack cut short"),
    pytest.param(b"\0\6", MALFORMED, id="oack without options"),
    pytest.param(b"\0\1file", MALFORMED, id="read without mode"),
    pytest.param(b"\0\2f\0octet", MALFORMED, id="write without end"),
    pytest.param(bytes(4), UNKNOWN, id="zeros"),
    pytest.param(b"\0\7\0\1", UNKNOWN, id="opcode 7"),
    pytest.param(b"\4\0\0\1", UNKNOWN, id="bytes in the wrong order"),
    pytest.param(b"\xff" * 65507, UNKNOWN, id="all ones, largest"),
    pytest.param(RRQ, UNEXPECTED, id="read request"),
    pytest.param(WRQ, UNEXPECTED, id="write request"),
]

SENDERS = [sender_opening, sender_sending, writer_opening, writer_sending]
RECEIVERS = [reader_opening, reader_receiving, taker_opening, taker_receiving, taker_lingering]
SERVERS = [sender_opening, sender_sending, taker_opening, taker_receiving, taker_lingering]

STRAYS: list[tuple[str, bytes, list[Callable[[], Machine]], str | None]] = [
    ("data", Data(1, b"x").encode(), SENDERS, UNEXPECTED),
    ("ack", Ack(1).encode(), RECEIVERS, UNEXPECTED),
    ("oack", OACK, SERVERS, UNEXPECTED),
    ("oack again", OACK, [writer_sending, reader_receiving], NOTHING),
    ("oack of others", Oack((("a", "b"),)).encode(), [writer_sending, reader_receiving], NOTHING),
    ("ack of nothing sent", Ack(7).encode(), SENDERS, NOTHING),
    ("ack long ago", Ack(65000).encode(), SENDERS, NOTHING),
    ("data far ahead", Data(900, b"x").encode(), RECEIVERS, NOTHING),
    ("data long ago", Data(65000, b"x").encode(), RECEIVERS, NOTHING),
]

ERRORS = [
    pytest.param(b"\0\5", 0, "", id="cut short"),
    pytest.param(b"\0\5\1", 1, "", id="code cut short"),
    pytest.param(b"\0\5\0\1", 1, "", id="without text"),
    pytest.param(b"\0\5\0\3full", 3, "full", id="text without end"),
    pytest.param(b"\0\5\0\3full\0more\0", 3, "full", id="more after the text"),
    pytest.param(b"\0\5\xff\xff\xff\0", 65535, "\udcff", id="unknown code, text not UTF-8"),
]


def assert_undisturbed(state: Callable[[], Machine], datagram: bytes, text: str | None):
    machine, untouched = state(), state()
    answer = [] if text is None else [Send(Error(4, text).encode())]
    assert machine.receive(datagram, 0.2) == answer
    assert machine.deadline() == untouched.deadline()
    awaited = STATES[state]
    assert machine.receive(awaited, 0.3) == untouched.receive(awaited, 0.3) != []
    assert (machine.resent, machine.done) == (untouched.resent, untouched.done)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("datagram", "text"), NO_PACKETS)
def test_no_packet_gets_error_4(state: Callable[[], Machine], datagram: bytes, text: str):
    assert_undisturbed(state, datagram, text)


@pytest.mark.parametrize(
    ("state", "datagram", "text"),
    [
        pytest.param(state, datagram, text, id=f"{name}-{state.__name__}")
        for name, datagram, states, text in STRAYS
        for state in states
    ],
)
def test_stray(state: Callable[[], Machine], datagram: bytes, text: str | None):
    assert_undisturbed(state, datagram, text)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("datagram", "code", "text"), ERRORS)
def test_error_ends_and_is_never_answered(
    state: Callable[[], Machine], datagram: bytes, code: int, text: str
):
    machine = state()
    complete = state is taker_lingering
    finish = Finish(Outcome.COMPLETE) if complete else Finish(Outcome.REFUSED, code, text)
    assert machine.receive(datagram, 0.2) == [finish]
    assert machine.heard
    assert machine.deadline() is None
    for later in (datagram, b"", STATES[state], RRQ):
        assert machine.receive(later, 0.3) == []
