"""Sends items of a stream behind the back of the sender, so that many become one write.

For datagrams, which nobody waits for: `send` returns once the item is queued, and waits only while
the queue is full. What goes wrong in a write is raised by the next `send`. Order is kept, and
whatever was queued is written before the stream ends or closes.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from anyio import BrokenResourceError, ClosedResourceError
from anyio.abc import ObjectStream

from .background import background_tasks
from .forwarding import ReceivesMany, Resettable, SendsMany

MAX_QUEUED = 64
"""Items that wait to be written before `send` waits too."""


class BatchStream(ReceivesMany, SendsMany, Resettable, Protocol):
    """What is needed of a stream: several items at once, both ways."""

    @property
    def extra_attributes(self) -> Mapping[object, Callable[[], object]]:
        """Typed attributes, as of any stream."""
        ...

    async def receive(self) -> bytes:
        """Return the next item."""
        ...

    async def send_eof(self) -> None:
        """End this direction."""
        ...

    async def aclose(self) -> None:
        """Close both directions."""
        ...


class WriteBehindStream(ObjectStream[bytes]):
    """`stream`, written to by a task of its own; made by `write_behind`."""

    def __init__(self, stream: BatchStream) -> None:
        """Begin with nothing queued."""
        self._stream = stream
        self._queue: list[bytes] = []
        self._arrived = asyncio.Event()
        self._written = asyncio.Event()
        self._error: BrokenResourceError | None = None
        self._ended = False

    @property
    def extra_attributes(self) -> Mapping[object, Callable[[], object]]:
        """The attributes of the stream."""
        return self._stream.extra_attributes

    async def send(self, item: bytes) -> None:
        """Queue `item`.

        Raises BrokenResourceError when an earlier item could not be written, ClosedResourceError
        after `send_eof` or `aclose`.
        """
        if self._ended:
            raise ClosedResourceError
        self._raise_failure()
        self._queue.append(item)
        self._arrived.set()
        while len(self._queue) >= MAX_QUEUED:
            await self._next_write()

    async def send_many(self, items: Sequence[bytes]) -> None:
        """Queue `items` in order; raises as `send` does."""
        for item in items:
            await self.send(item)

    async def receive(self) -> bytes:
        """Return the stream's next item."""
        return await self._stream.receive()

    async def receive_many(self) -> Sequence[bytes]:
        """Return the stream's next items."""
        return await self._stream.receive_many()

    async def flush(self) -> None:
        """Return when everything queued has been written; raises BrokenResourceError."""
        while self._queue:
            await self._next_write()
        self._raise_failure()

    async def send_eof(self) -> None:
        """Write what is queued, then the stream's end."""
        self._ended = True
        await self.flush()
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Write what is queued, then close the stream."""
        self._ended = True
        try:
            await self.flush()
        except BrokenResourceError:
            pass
        finally:
            await self._stream.aclose()

    async def reset(self) -> None:
        """Drop what is queued and break the stream."""
        self._ended = True
        self._queue.clear()
        await self._stream.reset()

    async def run(self) -> None:
        """Write what is queued, for ever; a failure is kept for the sender."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._queue:
                    # Kept in the queue while being written: it counts as not yet sent.
                    items = tuple(self._queue)
                    await self._stream.send_many(items)
                    del self._queue[: len(items)]
                    self._wake_senders()
        except (BrokenResourceError, ClosedResourceError) as error:
            self._error = BrokenResourceError(str(error))
            self._queue.clear()
            self._wake_senders()

    async def _next_write(self) -> None:
        await self._written.wait()
        self._raise_failure()

    def _wake_senders(self) -> None:
        self._written.set()
        self._written = asyncio.Event()

    def _raise_failure(self) -> None:
        if self._error is not None:
            raise self._error


@asynccontextmanager
async def write_behind(stream: BatchStream) -> AsyncGenerator[WriteBehindStream]:
    """Yield `stream` with its writes done by a task beside the body."""
    wrapped = WriteBehindStream(stream)
    async with background_tasks() as tasks:
        tasks.start_soon(wrapped.run)
        yield wrapped
        await wrapped.aclose()
