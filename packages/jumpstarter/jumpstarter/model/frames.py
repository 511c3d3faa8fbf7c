"""Frames of a router stream: what a peer may send, and how a long write becomes several.

The numbers are those of `router.proto`. GOAWAY is the half-close. RST_STREAM after GOAWAY says that
the sender is done in both directions and that what it sent still counts; without GOAWAY before it,
it breaks the stream. Release 0.9.0 sends neither RST_STREAM nor PING, and ignores both.
"""

from collections.abc import Iterator
from enum import IntEnum

MAX_PAYLOAD = 1 << 20
"""Bytes in one frame at most: a quarter of gRPC's limit for a message, and fast."""

STATE_KEY = "jumpstarter-stream"
"""Initial metadata of a stream: `open`, or `refused` when a status follows at once.

A server of release 0.9.0 sends no such key, and does not understand RST_STREAM.
"""
STATE_OPEN = "open"
STATE_REFUSED = "refused"


class FrameType(IntEnum):
    """Kinds of frames; other numbers are ignored by a receiver."""

    DATA = 0x00
    RST_STREAM = 0x03
    PING = 0x06
    GOAWAY = 0x07


def split(data: bytes, limit: int = MAX_PAYLOAD) -> Iterator[bytes]:
    """Yield `data` in payloads of at most `limit` bytes; empty data is one empty payload."""
    if len(data) <= limit:
        yield data
        return
    for start in range(0, len(data), limit):
        yield data[start : start + limit]
