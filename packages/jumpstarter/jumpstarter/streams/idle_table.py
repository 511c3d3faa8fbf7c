"""Which of many peers have been quiet for too long. Pure: the time is passed in."""

from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class IdleTable(Generic[K, V]):
    """A bounded map whose entries expire `idle` seconds after they were last touched.

    Times are seconds of one clock that never goes back; every method takes the same clock's.
    """

    def __init__(self, idle: float, capacity: int) -> None:
        """Hold at most `capacity` entries, at least one."""
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self._idle = idle
        self._capacity = capacity
        # In the order in which they were touched: the quietest entry is the first.
        self._entries: dict[K, tuple[float, V]] = {}

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def touch(self, key: K, now: float) -> V | None:
        """Return the entry of `key`, which expires anew from `now`; None when there is none."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        self._entries[key] = (now, entry[1])
        return entry[1]

    def add(self, key: K, value: V, now: float) -> V | None:
        """Enter `value`; return the entry that made room for it, the quietest, if one had to."""
        evicted = None
        if len(self._entries) >= self._capacity:
            _, evicted = self._entries.pop(next(iter(self._entries)))
        self._entries[key] = (now, value)
        return evicted

    def discard(self, key: K, value: V) -> None:
        """Remove the entry of `key` if it is `value` still."""
        entry = self._entries.get(key)
        if entry is not None and entry[1] is value:
            del self._entries[key]

    def deadline(self) -> float | None:
        """Return when the first entry expires unless it is touched; None when there is none."""
        for touched, _ in self._entries.values():
            return touched + self._idle
        return None

    def expire(self, now: float) -> Iterator[V]:
        """Remove and yield the entries whose time has come."""
        while (deadline := self.deadline()) is not None and deadline <= now:
            _, value = self._entries.pop(next(iter(self._entries)))
            yield value
