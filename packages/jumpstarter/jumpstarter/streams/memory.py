"""Byte streams in memory: two ends, each reads what the other sends, chunk by chunk.

An end that is reset gives its peer BrokenResourceError, an end that is closed gives EndOfStream:
the same difference that a TCP connection makes, so that code can be tried without sockets.
"""

from collections import deque

import anyio
from anyio.abc import ObjectStream
from anyio.lowlevel import checkpoint

BUFFERED_CHUNKS = 32
"""Chunks that one direction holds before `send` waits for the reader."""


def create_memory_stream() -> tuple["MemoryStream", "MemoryStream"]:
    """Return two cross-connected byte streams; each direction buffers 32 chunks."""
    there, back = _Direction(), _Direction()
    return MemoryStream(there, back), MemoryStream(back, there)


class _Direction:
    """What is under way from one end to the other, and how either end left."""

    def __init__(self) -> None:
        self.chunks: deque[bytes] = deque()
        self.ended = False
        self.reset = False
        self.abandoned = False
        self._change = anyio.Event()

    async def changed(self) -> None:
        await self._change.wait()

    def notify(self) -> None:
        self._change.set()
        self._change = anyio.Event()


class MemoryStream(ObjectStream[bytes]):
    """One end of a pair made by `create_memory_stream`."""

    def __init__(self, outgoing: _Direction, incoming: _Direction) -> None:
        """Join two directions; only `create_memory_stream` has a reason to."""
        self._outgoing = outgoing
        self._incoming = incoming

    async def receive(self) -> bytes:
        """Return the next chunk, waiting for it.

        Raises EndOfStream, BrokenResourceError after the peer's reset, ClosedResourceError.
        """
        await checkpoint()
        incoming = self._incoming
        while True:
            if incoming.abandoned:
                raise anyio.ClosedResourceError
            if incoming.chunks:
                chunk = incoming.chunks.popleft()
                incoming.notify()
                return chunk
            if incoming.reset:
                raise anyio.BrokenResourceError
            if incoming.ended:
                raise anyio.EndOfStream
            await incoming.changed()

    async def send(self, item: bytes) -> None:
        """Put `item` on its way, waiting while 32 chunks are.

        Raises BrokenResourceError when the peer has closed, ClosedResourceError after `send_eof`
        or when this end is closed.
        """
        await checkpoint()
        outgoing = self._outgoing
        while True:
            if outgoing.ended:
                raise anyio.ClosedResourceError
            if outgoing.abandoned:
                raise anyio.BrokenResourceError
            if len(outgoing.chunks) < BUFFERED_CHUNKS:
                break
            await outgoing.changed()
        outgoing.chunks.append(item)
        outgoing.notify()

    async def send_eof(self) -> None:
        """End what the peer reads, after the chunks under way. Idempotent."""
        self._outgoing.ended = True
        self._outgoing.notify()

    async def aclose(self) -> None:
        """Close both directions; a task that waits here gets ClosedResourceError. Idempotent."""
        self._incoming.abandoned = True
        self._incoming.notify()
        await self.send_eof()

    async def reset(self) -> None:
        """Close, and let the peer read BrokenResourceError where its end of stream would be."""
        if not self._outgoing.ended:
            self._outgoing.reset = True
        await self.aclose()
