r"""Text as TFTP's mode `netascii` carries it: RFC 764's NVT, as RFC 1350 §1 asks.

A line ends in CR LF, and a CR that is not the end of a line is followed by NUL. Encoding looks at
one byte at a time, so a chunk may end anywhere. Decoding does not: a CR at the end of a chunk
waits for the byte that tells what it means, and `Decoder` keeps it.
"""

from dataclasses import dataclass
from typing import Protocol


class Codec(Protocol):
    """Turns the bytes of a file into those of a transfer, or back, chunk by chunk."""

    def feed(self, chunk: bytes) -> bytes:
        """Return what `chunk` and the chunks before it now amount to."""
        ...

    def end(self) -> bytes:
        """Return what was still waiting for a next byte."""
        ...


class Octet:
    """Bytes as they are: the mode `octet`."""

    def feed(self, chunk: bytes) -> bytes:
        """Return `chunk`."""
        return chunk

    def end(self) -> bytes:
        """Return nothing: nothing waits."""
        return b""


class Encoder:
    """Local text, with LF at the end of a line, to netascii."""

    def feed(self, chunk: bytes) -> bytes:
        """Return `chunk` in netascii."""
        return chunk.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")

    def end(self) -> bytes:
        """Return nothing: nothing waits."""
        return b""


@dataclass(slots=True)
class Decoder:
    """Netascii to local text.

    A CR followed by neither LF nor NUL is not netascii; it is kept as it came.
    """

    _waiting: bytes = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return the text of `chunk`, less a CR at its end."""
        chunk = self._waiting + chunk
        self._waiting = b"\r" if chunk.endswith(b"\r") else b""
        if self._waiting:
            chunk = chunk[:-1]
        return chunk.replace(b"\r\n", b"\n").replace(b"\r\0", b"\r")

    def end(self) -> bytes:
        """Return a CR that nothing followed."""
        waiting, self._waiting = self._waiting, b""
        return waiting
