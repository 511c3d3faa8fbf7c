"""When something will be due, by itself: a heap of moments.

Rule: pure. An entry says only what to look at; whether anything is due is seen in the state then,
so that an entry that is out of date does no harm.
"""

import heapq
from collections.abc import Iterable
from datetime import datetime

from .book import Book, Settings
from .objects import Exporter, Lease
from .store.protocol import Stored
from .topics import EXPORTER, LEASE, Topic, exporter_topic, lease_topic

COLLECT = Topic("collect", "", "")
"""Ended leases are to be removed."""

FLUSH = Topic("flush", "", "")
"""What was heard of exporters and routers is to be stored."""


class Timers:
    """The moments at which to look at something again."""

    def __init__(self, settings: Settings) -> None:
        """Begin without any."""
        self._settings = settings
        self._heap: list[tuple[datetime, Topic]] = []
        self._once: set[Topic] = set()
        self._grace: datetime | None = None

    def __len__(self) -> int:
        """Return how many there are, with those that are out of date."""
        return len(self._heap)

    def reset(self, book: Book, now: datetime, *, grace: bool) -> None:
        """Forget all, and watch what is in `book`.

        With `grace` silence counts from now: nobody could be heard before.
        """
        self._heap = [entry for entry in self._heap if entry[1] in self._once]
        if grace:
            self._grace = now
        for lease in book.leases.values():
            self.watch(lease, now)
        for exporter in book.exporters.values():
            self.watch(exporter, now)
        heapq.heapify(self._heap)

    def add(self, when: datetime, topic: Topic) -> None:
        """Look at `topic` at `when`."""
        heapq.heappush(self._heap, (when, topic))

    def once(self, when: datetime, topic: Topic) -> None:
        """Look at `topic` at `when`, unless it will be looked at anyway."""
        if topic not in self._once:
            self._once.add(topic)
            self.add(when, topic)

    def next(self) -> datetime | None:
        """Return the first moment."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: datetime) -> list[Topic]:
        """Return what is to be looked at by now, each once, and forget it."""
        found: dict[Topic, None] = {}
        while self._heap and self._heap[0][0] <= now:
            found[heapq.heappop(self._heap)[1]] = None
        self._once -= found.keys()
        return list(found)

    def again(self, topics: Iterable[Topic], when: datetime) -> None:
        """Look at `topics` at `when`, which could not be done now."""
        for topic in topics:
            (self.add if topic.kind in (LEASE, EXPORTER) else self.once)(when, topic)

    def silent_at(self, exporter: Exporter) -> datetime:
        """Return when an exporter counts as lost unless it is heard."""
        heard = [time for time in (exporter.last_seen, self._grace) if time is not None]
        return max(heard, default=exporter.created) + self._settings.offline_after

    def watch(self, item: Stored | None, now: datetime) -> None:
        """See to it that an object, which was just put, is looked at when it is due."""
        match item:
            case Lease():
                self._watch_lease(item, now)
            case Exporter(online=True):
                self.add(self.silent_at(item), exporter_topic(item.namespace, item.name))
            case _:
                pass

    def _watch_lease(self, lease: Lease, now: datetime) -> None:
        if lease.effective_end is not None:
            self.once(lease.effective_end + self._settings.lease_retention, COLLECT)
            return
        topic = lease_topic(lease.namespace, lease.name)
        if lease.exporter is None and lease.begin_time is not None and lease.begin_time > now:
            self.add(lease.begin_time, topic)
        elif lease.expires_at is not None:
            self.add(lease.expires_at, topic)
