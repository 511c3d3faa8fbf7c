"""Reads an async generator from a thread without a round trip to the event loop per item.

A task on the portal reads ahead into a queue; it waits while the queue is full, and the thread
wakes it when half is taken. Closing the iterator closes the generator before it returns.
"""

from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import CancelledError
from contextlib import aclosing
from queue import SimpleQueue
from typing import Any, Final

import anyio
from anyio.from_thread import BlockingPortal

from jumpstarter.model.errors import DriverError
from jumpstarter.rpc.blocking import is_in_event_loop

MAX_AHEAD: Final = 256
"""Items that are read before the thread has taken them."""

_END: Final = object()


class _Reader:
    """The task on the event loop; its last entry in the queue is `_END`."""

    def __init__(self, make: Callable[[], AsyncGenerator[Any, None]]) -> None:
        self.queue: SimpleQueue[Any] = SimpleQueue()
        self.waiting = False
        self._make = make
        self._room = anyio.Event()

    async def run(self) -> None:
        try:
            async with aclosing(self._make()) as items:
                async for item in items:
                    self.queue.put(item)
                    if self.queue.qsize() >= MAX_AHEAD:
                        await self._wait_for_room()
        finally:
            self.queue.put(_END)

    def resume(self) -> None:
        self._room.set()

    async def _wait_for_room(self) -> None:
        self._room = anyio.Event()
        # The thread takes an item before it looks at the flag, so the queue is looked at once more
        # after the flag is set: one of the two sees the other.
        self.waiting = True
        if self.queue.qsize() >= MAX_AHEAD // 2:
            await self._room.wait()
        self.waiting = False


def prefetch(
    portal: BlockingPortal, make: Callable[[], AsyncGenerator[Any, None]]
) -> Generator[Any, None, None]:
    """Yield the items of `make()`, which runs on the event loop of `portal`.

    What the generator raises is raised here, after the items that came before; DriverError when
    the connection of the client was closed meanwhile.
    """
    reader = portal.call(_Reader, make)
    running = portal.start_task_soon(reader.run)
    ended = False
    try:
        while True:
            item = reader.queue.get()
            if item is _END:
                ended = True
                break
            if reader.waiting and reader.queue.qsize() < MAX_AHEAD // 2:
                portal.start_task_soon(reader.resume)
            yield item
    finally:
        if not ended:
            running.cancel()
            # The garbage collector may close a forgotten iterator in the loop's own thread, which
            # must not wait for itself.
            while not is_in_event_loop() and reader.queue.get() is not _END:
                pass
    try:
        running.result()
    except CancelledError:
        # So gRPC ends the calls of a connection that its own side closes.
        message = "the session ended before the call did"
        raise DriverError(message) from None
