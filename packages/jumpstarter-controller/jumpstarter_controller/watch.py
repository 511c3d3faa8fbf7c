"""News of what changed, for those who wait for it.

Rule: news says that something changed, never to what: who is told looks at the state that is
stored, so that missed or doubled news does no harm. `LocalWatch` serves one process; a database
that tells several processes has its own.
"""

from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import anyio

from .topics import Topic, exporter_topic, lease_topic

__all__ = ["LocalWatch", "Signal", "Topic", "Watch", "exporter_topic", "lease_topic"]


class Signal:
    """Says whether there was news since it was last waited for; one task waits at a time."""

    def __init__(self) -> None:
        """Begin without news."""
        self._event = anyio.Event()

    def set(self) -> None:
        """There is news."""
        self._event.set()

    async def wait(self) -> None:
        """Return once there was news."""
        await self._event.wait()
        self._event = anyio.Event()


class Watch(Protocol):
    """Passes news on."""

    def publish(self, topics: Iterable[Topic]) -> None:
        """Tell all who subscribed to any of `topics`."""
        ...

    def subscribe(self, *topics: Topic) -> AbstractContextManager[Signal]:
        """Give a signal of the news about any of `topics` from here on."""
        ...


class LocalWatch:
    """Passes news on within one event loop."""

    def __init__(self) -> None:
        """Begin without subscribers."""
        self._signals: dict[Topic, set[Signal]] = {}

    def publish(self, topics: Iterable[Topic]) -> None:
        """Tell all who subscribed to any of `topics`."""
        for topic in topics:
            for signal in self._signals.get(topic, ()):
                signal.set()

    @contextmanager
    def subscribe(self, *topics: Topic) -> Generator[Signal]:
        """Give a signal of the news about any of `topics` from here on."""
        signal = Signal()
        for topic in topics:
            self._signals.setdefault(topic, set()).add(signal)
        try:
            yield signal
        finally:
            for topic in topics:
                rest = self._signals[topic]
                rest.discard(signal)
                if not rest:
                    del self._signals[topic]
