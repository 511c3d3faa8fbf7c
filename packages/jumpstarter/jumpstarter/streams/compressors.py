"""Compressors and decompressors that take data in pieces, alike for every compression.

They are pure: bytes in, bytes out. A decompressor takes data of any number of members (gzip
members, xz and bzip2 streams, zstd frames) one after the other, never yields more than a bounded
piece at once, however far the data expands, and does not take cut data for whole.
"""

import bz2
import lzma
import zlib
from collections.abc import Iterator
from typing import Protocol

from .compression import Compression

PIECE_SIZE = 1 << 20
"""The most bytes that a decompressor makes at once."""

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_GZIP = 16 + zlib.MAX_WBITS

_BAD_DATA = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)


class DecompressionError(RuntimeError):
    """The data is not what its compression says, or it is cut short."""


class Compressor(Protocol):
    """Compresses what it is given, in order, into one member."""

    def compress(self, data: bytes, /) -> bytes:
        """Take `data` and return what is ready, often nothing."""
        ...

    def flush(self) -> bytes:
        """Return the rest; nothing may follow."""
        ...


class _MemberDecompressor(Protocol):
    """Undoes one member; what follows it is left in `unused_data`."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def create_compressor(compression: Compression) -> Compressor:
    """Return a compressor at the usual level of `compression`."""
    match compression:
        case Compression.GZIP:
            return zlib.compressobj(wbits=_GZIP)
        case Compression.XZ:
            return lzma.LZMACompressor()
        case Compression.BZ2:
            return bz2.BZ2Compressor()
        case Compression.ZSTD:
            from .zstandard import new_zstd_compressor  # noqa: PLC0415 - slow, and seldom needed

            return new_zstd_compressor()


def create_decompressor(compression: Compression) -> "Decompressor":
    """Return a decompressor for `compression`; "gzip" takes the zlib container too."""
    return Decompressor(compression)


class Decompressor:
    """Decompresses what it is given, in order, member after member."""

    def __init__(self, compression: Compression) -> None:
        """Expect the beginning of a member."""
        self._compression = compression
        self._member: _MemberDecompressor | None = None
        self._padding_allowed = False

    @property
    def eof(self) -> bool:
        """Whether the data may end here: no member has begun that has not ended."""
        return self._member is None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Take `data` and yield what it expands to, in pieces of 1 to PIECE_SIZE bytes.

        The iterator must be exhausted before the next call. Raises DecompressionError when the
        data is bad.
        """
        while data or (self._member is not None and not self._member.needs_input):
            if self._member is None:
                data = data.lstrip(b"\0") if self._padding_allowed else data
                if not data:
                    return
                self._member = _new_member(self._compression)
            piece, data = self._step(self._member, data)
            if piece:
                yield piece

    def decompress(self, data: bytes) -> bytes:
        """Take `data` and return all that it expands to; raises DecompressionError."""
        return b"".join(self.pieces(data))

    def flush(self) -> bytes:
        """Return nothing, as nothing is held back; raises DecompressionError if data is missing."""
        if not self.eof:
            raise DecompressionError(f"{self._compression} data ends too early")
        return b""

    def _step(self, member: _MemberDecompressor, data: bytes) -> tuple[bytes, bytes]:
        try:
            piece = member.decompress(data, PIECE_SIZE)
        except _BAD_DATA as error:
            raise DecompressionError(f"bad {self._compression} data: {error}") from error
        if not member.eof:
            return piece, b""
        self._member = None
        # Tapes and block devices pad with zeros: gzip ignores them and xz allows them.
        self._padding_allowed = self._compression in (Compression.GZIP, Compression.XZ)
        return piece, member.unused_data


class _ZlibMember:
    """The interface of the other decompressors over zlib's, which has one of its own."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._full

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        # Output may be held inside zlib even when it has consumed all input.
        self._full = not self._inner.eof and len(piece) == max_length
        return piece


def _new_member(compression: Compression) -> _MemberDecompressor:
    match compression:
        case Compression.GZIP:
            return _ZlibMember()
        case Compression.XZ:
            return lzma.LZMADecompressor(lzma.FORMAT_XZ)
        case Compression.BZ2:
            return bz2.BZ2Decompressor()
        case Compression.ZSTD:
            from .zstandard import ZstdMember  # noqa: PLC0415 - slow, and seldom needed

            return ZstdMember()
