"""Frames of a router stream: what a peer may send, and how a long write becomes several.

The numbers are those of `router.proto`. GOAWAY is the half-close. RST_STREAM after GOAWAY says that
the sender is done in both directions and that what it sent still counts; without GOAWAY before it,
it breaks the stream. Release 0.9.0 sends neither RST_STREAM nor PING, and ignores both. BATCH is
several small payloads in one frame; it goes only to a peer that has said that it knows it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from google.protobuf.message import DecodeError
from jumpstarter_protocol.jumpstarter.v1.router_pb2 import StreamRequest

MAX_PAYLOAD = 1 << 20
"""Bytes in one frame at most: a quarter of gRPC's limit for a message, and fast."""

REQUEST_KEY = "request"
"""Invocation metadata of a stream: what to open, as JSON (see `requests`)."""

STATE_KEY = "jumpstarter-stream"
"""Metadata of a stream, both ways: `open`, or from a server `refused`, and then a status follows.

A peer of release 0.9.0 sends no such key, and understands neither RST_STREAM nor BATCH.
"""
STATE_OPEN = "open"
STATE_REFUSED = "refused"

DATAGRAMS_KEY = "jumpstarter-datagrams"
"""Initial metadata of a stream in which every payload stands for itself."""

_PAYLOAD_TAG = b"\x0a"
_KIND_TAG = b"\x10"
_GROUP = 0x7F
_MORE = 0x80
_VARINT_BYTES = 10


class FrameType(IntEnum):
    """Kinds of frames; other numbers are ignored by a receiver."""

    DATA = 0x00
    RST_STREAM = 0x03
    PING = 0x06
    GOAWAY = 0x07
    BATCH = 0x20


def split(data: bytes, limit: int = MAX_PAYLOAD) -> Iterator[bytes]:
    """Yield `data` in payloads of at most `limit` bytes; empty data is one empty payload."""
    if len(data) <= limit:
        yield data
        return
    for start in range(0, len(data), limit):
        yield data[start : start + limit]


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of a router stream; `kind` is a FrameType, or a number of a newer peer."""

    kind: int
    payload: bytes


def encode_frame(kind: FrameType, payload: bytes) -> bytes:
    """Return the serialized StreamRequest or StreamResponse, which look the same on the wire.

    Written out because a generated message would copy a large payload twice more.
    """
    head = b"" if not payload else _PAYLOAD_TAG + _varint(len(payload))
    tail = b"" if kind is FrameType.DATA else _KIND_TAG + bytes((kind,))
    return b"".join((head, payload, tail))


def decode_frame(message: bytes) -> Frame:
    """Return the frame that `message` holds; raises ValueError for bytes that are none."""
    if message[:1] == _PAYLOAD_TAG:
        length, start = _read_varint(message, 1)
        if start + length == len(message):
            return Frame(FrameType.DATA, message[start:])
    try:
        parsed = StreamRequest.FromString(message)
    except DecodeError as error:
        text = f"{len(message)} bytes that are no frame"
        raise ValueError(text) from error
    return Frame(parsed.frame_type, parsed.payload)


def pack_batch(payloads: Sequence[bytes]) -> bytes:
    """Return the payload of a BATCH: each of `payloads` after its length as a varint."""
    return b"".join(part for item in payloads for part in (_varint(len(item)), item))


def unpack_batch(batch: bytes) -> list[bytes]:
    """Return the payloads in a BATCH; raises ValueError where a length leads beyond the end."""
    payloads: list[bytes] = []
    position = 0
    while position < len(batch):
        length, start = _read_varint(batch, position)
        position = start + length
        if position > len(batch):
            text = f"a batch of {len(batch)} bytes that is cut short"
            raise ValueError(text)
        payloads.append(batch[start:position])
    return payloads


def _varint(number: int) -> bytes:
    """Return `number` in base 128, the lowest group first (the encoding of Protocol Buffers)."""
    groups = bytearray()
    while number > _GROUP:
        groups.append(number & _GROUP | _MORE)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    """Return the number at `position` and the position after it; a cut number is never complete."""
    number = shift = 0
    for index in range(position, min(position + _VARINT_BYTES, len(message))):
        byte = message[index]
        number |= (byte & _GROUP) << shift
        if byte <= _GROUP:
            return number, index + 1
        shift += 7
    return number, len(message) + 1
