"""News for everyone: each subscriber gets every item, from whatever thread it was published.

Publishing never waits and never raises for a subscriber's sake. One that is too slow loses its
oldest items, and is told how many. A new one is first given the last items there were.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import anyio
from anyio.lowlevel import checkpoint

T = TypeVar("T")

QUEUE_SIZE = 4096
"""Items that wait for one subscriber unless it is told otherwise."""


class Broadcast(Generic[T]):
    """Publishes items of one kind to any number of subscribers.

    All methods may be called from any thread. With no subscriber, publishing is an append.
    """

    def __init__(self, history: int = 0) -> None:
        """Keep the last `history` items for new subscribers."""
        self._history: deque[T] = deque(maxlen=history)
        self._subscriptions: list[Subscription[T]] = []
        self._closed = False
        # Reentrant: the garbage collector may run, in the middle of an append, a finalizer that
        # publishes too (a log record, for one).
        self._lock = threading.RLock()

    def publish(self, item: T) -> None:
        """Give `item` to every subscriber, present and, as history, future ones."""
        with self._lock:
            self._history.append(item)
            for subscription in self._subscriptions:
                subscription.put(item)

    def close(self) -> None:
        """End every subscription once its items have been received, and those to come too."""
        with self._lock:
            self._closed = True
            for subscription in self._subscriptions:
                subscription.end()

    @asynccontextmanager
    async def subscribe(self, queue_size: int = QUEUE_SIZE) -> AsyncGenerator["Subscription[T]"]:
        """Yield a subscription that sees everything from here on, after the history.

        At most `queue_size` items wait for it.
        """
        subscription = Subscription[T](queue_size, self._lock)
        with self._lock:
            for item in self._history:
                subscription.put(item)
            if self._closed:
                subscription.end()
            self._subscriptions.append(subscription)
        try:
            yield subscription
        finally:
            with self._lock:
                self._subscriptions.remove(subscription)


class Subscription(Generic[T]):
    """What one subscriber has yet to receive; made by `Broadcast.subscribe`.

    Only one task receives, in the event loop in which it subscribed.
    """

    def __init__(self, queue_size: int, lock: threading.RLock) -> None:
        """Begin empty; `lock` is the publisher's and guards what its threads change."""
        if queue_size < 1:
            raise ValueError("queue_size must be at least 1")
        self.lost = 0
        """How many items were dropped right before the one that was received last."""
        self._lock = lock
        self._queue: deque[T] = deque()
        self._queue_size = queue_size
        self._dropped = 0
        self._ended = False
        self._waiting: anyio.Event | None = None
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> "Subscription[T]":
        """Iterate over the items; the iteration ends with the broadcast."""
        return self

    async def __anext__(self) -> T:
        """Return the next item."""
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def receive(self) -> T:
        """Return the next item, waiting for it; then `lost` says how many are missing before it.

        Raises EndOfStream when the broadcast is closed and everything has been received.
        """
        await checkpoint()
        while True:
            with self._lock:
                if self._queue:
                    self.lost, self._dropped = self._dropped, 0
                    return self._queue.popleft()
                if self._ended:
                    raise anyio.EndOfStream
                self._waiting = waiting = anyio.Event()
            await waiting.wait()

    def put(self, item: T) -> None:
        """Queue `item`, dropping the oldest if there are too many. The lock is held."""
        if len(self._queue) >= self._queue_size:
            self._queue.popleft()
            self._dropped += 1
        self._queue.append(item)
        self._wake()

    def end(self) -> None:
        """Let `receive` end after what is queued. The lock is held."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        # One wake-up of the loop is under way at most, however much is published before it runs.
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._loop.call_soon_threadsafe(waiting.set)
