"""Iterates a blocking generator in a worker thread, without a hand-over between threads per item.

The thread runs ahead of the reader by a bounded number of items and wakes the event loop only when
the reader waits. Leaving the context stops the generator at its next item and runs its `finally`;
a generator that blocks for ever costs a thread, and nobody waits for it.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

from anyio import to_thread

from jumpstarter.streams.background import background_tasks

MAX_AHEAD: Final = 64
"""Items that the thread may produce before the reader has taken them."""


class ThreadIterator(AsyncIterator[object]):
    """The items of an iterable that runs in a worker thread."""

    def __init__(self, make: Callable[[], Iterable[object]]) -> None:
        """Prepare; nothing runs before `produce`."""
        self._make = make
        self._items: deque[object] = deque()
        self._room = threading.Semaphore(MAX_AHEAD)
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._waiting = False
        self._stopped = False
        self._done = False
        self._error: Exception | SystemExit | None = None

    def stop(self) -> None:
        """Let the thread end at its next item."""
        self._stopped = True
        self._room.release()

    def produce(self) -> None:
        """Run the iterable to its end; called in the worker thread."""
        try:
            iterator = iter(self._make())
            try:
                self._run(iterator)
            finally:
                close = getattr(iterator, "close", None)
                if close is not None:
                    close()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - raised again to the reader
            self._error = error
        finally:
            self._done = True
            self._signal()

    def _run(self, iterator: Iterable[object]) -> None:
        for item in iterator:
            self._room.acquire()
            if self._stopped:
                return
            self._items.append(item)
            if self._waiting:
                self._signal()

    def _signal(self) -> None:
        # A loop that is already closed has no reader left to wake.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def __anext__(self) -> object:
        """Return the next item, waiting for it; raises what the iterable raised."""
        while not self._items:
            if self._done and not self._items:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._wake.clear()
            # The thread looks at the flag after it has added an item, so the deque is looked at
            # once more after the flag is set: one of the two sees the other.
            self._waiting = True
            if not self._items and not self._done:
                await self._wake.wait()
            self._waiting = False
        self._room.release()
        return self._items.popleft()


@asynccontextmanager
async def iterate_in_thread(
    make: Callable[[], Iterable[object]],
) -> AsyncGenerator[AsyncIterator[object]]:
    """Yield an async iterator over what `make()` yields in a worker thread.

    What the iterable raises is raised by the iterator, after the items that came before.
    """
    items = ThreadIterator(make)

    async def run() -> None:
        await to_thread.run_sync(items.produce, abandon_on_cancel=True)

    async with background_tasks() as tasks:
        tasks.start_soon(run)
        try:
            yield items
        finally:
            items.stop()
