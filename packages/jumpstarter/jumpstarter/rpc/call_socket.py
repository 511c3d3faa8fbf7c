"""Unary driver calls between programs of one machine: a Unix socket beside an exporter's own.

Over gRPC a call wakes five threads, one after the other; here it wakes the one that answers it, and
its caller. All that this socket does can be done over gRPC too, which is the protocol: a client
that knows nothing of it loses nothing but time.

On a connection requests and answers alternate. Each is a header, the code and the number of bytes
that follow (network byte order), and a message. Of a request the code is OK, and the message a
DriverCallRequest. Of an answer they are

* OK and a DriverCallResponse, or
* the number of a gRPC status and its details in UTF-8, or
* ELSEWHERE and nothing: the call has not been made, and is to be made over gRPC.

A client that leaves closes its connection; so does a server, also in the middle of a call.
"""

import socket
import struct
from pathlib import Path
from typing import Final, TypeAlias

OK: Final = 0
ELSEWHERE: Final = 255

MAX_MESSAGE: Final = 4 << 20
"""Bytes of a message, as much as gRPC takes by itself: what works here works from afar too."""

Answer: TypeAlias = tuple[int, bytes]
"""A code and a message."""

_HEADER: Final = struct.Struct("!BI")
_CHUNK: Final = 1 << 16


def calls_path(path: str | Path) -> Path:
    """Return the socket of calls beside the socket `path` of an exporter."""
    return Path(f"{path}.calls")


def send(sock: socket.socket, code: int, message: bytes) -> None:
    """Send a request or an answer. Raises OSError."""
    sock.sendall(_HEADER.pack(code, len(message)) + message)


def receive(sock: socket.socket) -> Answer | None:
    """Return the next request or answer, or None at the end. Raises OSError."""
    # Nothing follows before this side has sent something: all that comes belongs to this message.
    data = bytearray(sock.recv(_CHUNK))
    while not _is_whole(data):
        chunk = sock.recv(_CHUNK)
        if not chunk:
            return None
        data += chunk
    code, size = _HEADER.unpack_from(data)
    return code, bytes(memoryview(data)[_HEADER.size : _HEADER.size + size])


def _is_whole(data: bytearray) -> bool:
    if len(data) < _HEADER.size:
        return False
    size = _HEADER.unpack_from(data)[1]
    if size > MAX_MESSAGE:
        message = f"a message of {size} bytes"
        raise ConnectionAbortedError(message)
    return len(data) >= _HEADER.size + size
