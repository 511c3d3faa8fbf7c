"""What must hold for the parsers of TFTP, whatever they are given.

Each function takes bytes and gives nothing; one that raises anything has found a fault.
"""

from jumpstarter_driver_tftp.errors import FileRefused, OptionError, PacketError
from jumpstarter_driver_tftp.names import path_below_root
from jumpstarter_driver_tftp.netascii import Codec, Decoder, Encoder
from jumpstarter_driver_tftp.options import Offer, Pairs, Terms, accept, negotiate
from jumpstarter_driver_tftp.packet import Ack, Error, Request, acknowledged, is_error, parse
from jumpstarter_driver_tftp.requests import judge, open_receiver, open_sender
from jumpstarter_driver_tftp.transfer import Send

SIZE = 2**64 - 1
"""No file is larger."""

ERROR = b"\0\5"
MAX_UPLOAD = 10**6
OFFER = Offer(Terms(), max_windowsize=64, size=SIZE)
ASKED: Pairs = (("blksize", "1468"), ("timeout", "3"), ("tsize", "0"), ("windowsize", "16"))


def packet(data: bytes) -> None:
    """A datagram is a packet or a PacketError, and a packet survives the way to bytes and back."""
    try:
        found = parse(data)
    except PacketError as error:
        assert str(error)
        assert data[:2] != ERROR
        assert acknowledged(data) is None
        return
    assert is_error(data) == isinstance(found, Error) == (data[:2] == ERROR)
    assert acknowledged(data) == (found.block if isinstance(found, Ack) else None)
    wire = found.encode()
    if len(wire) >= 4:
        assert parse(wire) == found


def options(data: bytes) -> None:
    """What a server grants is in range and was asked for; a client accepts it, and no more."""
    request = parse(b"\0\1f\0octet\0" + data)
    assert isinstance(request, Request)
    terms, answer = negotiate(request.options, OFFER)
    _check_terms(terms)
    assert len(answer) == len({name for name, _ in answer})
    for name, value in answer:
        asked = next(value for other, value in request.options if other.lower() == name)
        assert int(value) <= int(asked) or name == "tsize"
    assert accept(request.options, answer, Terms()) == terms
    try:
        accepted = accept(ASKED, request.options, Terms())
    except OptionError as error:
        assert str(error)
        return
    _check_terms(accepted)
    assert accepted.blksize <= 1468
    assert accepted.windowsize <= 16


def _check_terms(terms: Terms) -> None:
    assert 8 <= terms.blksize <= 65464
    assert 1 <= terms.windowsize <= 64
    assert 1 <= terms.timeout <= 255
    assert terms.tsize is None or terms.tsize >= 0


def netascii(data: bytes) -> None:
    """It does not matter where text is cut, and text survives the way out and back."""
    size, text = 1 + (data[0] if data else 0), data[1:]
    wire = _translate(Encoder(), text, len(text) + 1)
    assert _translate(Encoder(), text, size) == wire
    assert _translate(Decoder(), wire, size) == text
    decoded = _translate(Decoder(), text, size)
    assert decoded == _translate(Decoder(), text, len(text) + 1)
    assert len(decoded) <= len(text) <= len(wire)


def _translate(codec: Codec, text: bytes, size: int) -> bytes:
    chunks = (text[at : at + size] for at in range(0, len(text), size))
    return b"".join(map(codec.feed, chunks)) + codec.end()


def names(data: bytes) -> None:
    """A name means a path below the root, or is refused."""
    try:
        path = path_below_root(data.decode("utf-8", "surrogateescape"))
    except FileRefused as refusal:
        assert refusal.code in {1, 2}
        return
    assert path
    for part in path:
        assert part not in {"", ".", ".."}
        assert not set(part) & {"/", "\\", "\0"}
    assert path_below_root("/".join(path)) == path


def request(data: bytes) -> None:
    """A datagram gets one answer at most, which is never answered, and hardly larger than it is."""
    judged = judge(data, writable=True)
    assert judged is None or data[:2] != ERROR
    if isinstance(judged, Error):
        assert judge(judged.encode(), writable=True) is None
    if not isinstance(judged, Request):
        return
    try:
        receiver, granted = open_receiver(judged, OFFER, 3, MAX_UPLOAD)
    except FileRefused as refusal:
        assert refusal.code == 3
    else:
        assert len(receiver.start(0.0)) == 1
        assert {name for name, _ in granted} <= {name.lower() for name, _ in judged.options}
    sender, granted = open_sender(judged, OFFER, 3)
    [*answer] = sender.start(0.0)
    assert bool(answer) == bool(granted)
    for command in answer:
        # All that can grow is the size of the file, for which the name and the mode make room.
        assert isinstance(command, Send)
        assert len(command.datagram) <= len(data) + len(str(SIZE)) - 8
