"""Compression on the fly: streams that compress what is sent and undo what is received.

No empty chunk comes out of here, and compressed data that ends too early is an error and never an
end of file. Large chunks are worked on in a thread, so the loop goes on meanwhile.
"""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import overload

import anyio
from anyio import to_thread
from anyio.abc import ObjectStream
from anyio.lowlevel import checkpoint_if_cancelled

from .compression import (
    COMPRESSION_SIGNATURES,
    SIGNATURE_BUFFER_SIZE,
    Compression,
    FileSignature,
    detect_compression_from_signature,
)
from .compressors import (
    Compressor,
    DecompressionError,
    Decompressor,
    create_compressor,
    create_decompressor,
)
from .forwarding import AnyByteStream
from .wrapping import WrappingStream

__all__ = [
    "COMPRESSION_SIGNATURES",
    "SIGNATURE_BUFFER_SIZE",
    "AutoDecompressIterator",
    "CompressedStream",
    "Compression",
    "DecompressionError",
    "FileSignature",
    "compress_stream",
    "create_compressor",
    "create_decompressor",
    "detect_compression_from_signature",
]

THREAD_SIZE = 1 << 14
"""Bytes from which a chunk is worth the way to a thread and back."""


@overload
def compress_stream(
    stream: ObjectStream[bytes], compression: Compression | None
) -> ObjectStream[bytes]: ...


@overload
def compress_stream(stream: AnyByteStream, compression: Compression | None) -> AnyByteStream: ...


def compress_stream(stream: AnyByteStream, compression: Compression | None) -> AnyByteStream:
    """Return a stream that sends through `stream` compressed and decompresses what it receives.

    With None that is `stream` itself.
    """
    if compression is None:
        return stream
    return CompressedStream(
        stream=stream,
        compressor=create_compressor(compression),
        decompressor=create_decompressor(compression),
    )


@dataclass(kw_only=True, eq=False)
class CompressedStream(WrappingStream):
    """Sends through `compressor` and receives through `decompressor`.

    The compressed data ends with `send_eof`, or with `aclose` if something was sent; but never with
    `reset`, an exception or a cancellation, so that the receiver takes no cut data for whole.
    """

    decompressor: Decompressor
    compressor: Compressor
    _ready: "_Pieces" = field(init=False)
    _unfinished: bool = field(default=False, init=False)
    _sent_eof: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Begin with nothing received."""
        self._ready = _Pieces(self.decompressor)

    async def receive(self) -> bytes:
        """Return the next decompressed bytes.

        Raises DecompressionError for bad data and for data that ends too early, EndOfStream after
        complete data.
        """
        while (piece := await self._ready.next()) is None:
            try:
                self._ready.feed(await self.stream.receive())
            except anyio.EndOfStream:
                self.decompressor.flush()
                raise
        return piece

    async def send(self, item: bytes) -> None:
        """Compress `item` and send what is ready of it, which may be nothing until the end."""
        if self._sent_eof:
            raise anyio.ClosedResourceError
        self._unfinished = True
        if len(item) < THREAD_SIZE:
            compressed = self.compressor.compress(item)
        else:
            compressed = await to_thread.run_sync(self.compressor.compress, item)
        if compressed:
            await self.stream.send(compressed)

    async def send_eof(self) -> None:
        """Send the end of the compressed data and then the end of file. Idempotent."""
        if not self._sent_eof:
            await self._finish()
            await self.stream.send_eof()

    async def aclose(self) -> None:
        """Send the end of the compressed data, if any was sent, and close the stream."""
        try:
            if self._unfinished:
                await checkpoint_if_cancelled()
                await self._finish()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            # Nobody is left to take the end.
            pass
        finally:
            await self.stream.aclose()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Close; data that an exception has cut short is not given an end."""
        if exc_type is not None:
            self._unfinished = False
        await self.aclose()

    async def _finish(self) -> None:
        self._sent_eof = True
        self._unfinished = False
        await self.stream.send(self.compressor.flush())


@dataclass(kw_only=True)
class AutoDecompressIterator(AsyncIterator[bytes]):
    """Yields what the chunks of `source` expand to, or themselves when they are not compressed.

    The first eight bytes decide. Raises DecompressionError, a RuntimeError, for compressed data
    that is bad or ends too early.
    """

    source: AsyncIterator[bytes]
    _ready: "_Pieces | _Plain | None" = field(default=None, init=False)

    async def __anext__(self) -> bytes:
        """Return the next bytes, never none of them."""
        if self._ready is None:
            self._ready = await self._detect()
        while (piece := await self._ready.next()) is None:
            try:
                self._ready.feed(await anext(self.source))
            except StopAsyncIteration:
                self._ready.finish()
                raise
        return piece

    async def _detect(self) -> "_Pieces | _Plain":
        first = b""
        while len(first) < SIGNATURE_BUFFER_SIZE:
            chunk = await anext(self.source, None)
            if chunk is None:
                break
            first += chunk
        compression = detect_compression_from_signature(first)
        ready = _Plain() if compression is None else _Pieces(create_decompressor(compression))
        ready.feed(first)
        return ready


class _Pieces:
    """What a decompressor has been fed and not yet given back."""

    def __init__(self, decompressor: Decompressor) -> None:
        self._decompressor = decompressor
        self._pieces: Iterator[bytes] = iter(())
        self._in_thread = False

    def feed(self, data: bytes) -> None:
        self._pieces = self._decompressor.pieces(data)
        self._in_thread = len(data) >= THREAD_SIZE

    async def next(self) -> bytes | None:
        if self._in_thread:
            return await to_thread.run_sync(next, self._pieces, None)
        return next(self._pieces, None)

    def finish(self) -> None:
        self._decompressor.flush()


class _Plain:
    """Data that is not compressed."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()

    def feed(self, data: bytes) -> None:
        if data:
            self._chunks.append(data)

    async def next(self) -> bytes | None:
        return self._chunks.popleft() if self._chunks else None

    def finish(self) -> None:
        pass
