"""What one write changes, before it is stored: it can be taken back, wholly or to a mark.

Rule: whoever puts a value here need not think of who is concerned by it. The draft notes what
the scheduler must look at again.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from .book import Book, Key, Settings
from .objects import Client, Exporter, Lease, Policy, Router
from .store.protocol import Change, Stored

Identity = tuple[type, str, str]


@dataclass(slots=True)
class Touched:
    """What is to be looked at again: leases, and namespaces where something else changed."""

    leases: set[Key] = field(default_factory=set[Key])
    namespaces: set[str] = field(default_factory=set[str])

    def __bool__(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self.leases or self.namespaces)

    def everywhere(self) -> set[str]:
        """Return the namespaces of all of it."""
        return self.namespaces | {namespace for namespace, _ in self.leases}


class Draft:
    """The state while it is decided on; `now` is the time of the decision."""

    def __init__(self, book: Book, settings: Settings, now: datetime, sequence: int) -> None:
        """Begin with what `book` has; `sequence` is the highest of any lease."""
        self.book = book
        self.settings = settings
        self.now = now
        self.sequence = sequence
        self.touched = Touched()
        self._archive: dict[Key, Lease] = {}
        self._journal: list[Change] = []

    def next_sequence(self) -> int:
        """Return the place of a new lease in the order of creation."""
        self.sequence += 1
        return self.sequence

    def new_uid(self) -> str:
        """Return a random identity."""
        return str(uuid.uuid4())

    def lend(self, lease: Lease) -> None:
        """Make a lease that has ended, and so is not in the book, known to `lease`."""
        self._archive.setdefault((lease.namespace, lease.name), lease)

    def lease(self, namespace: str, name: str) -> Lease | None:
        """Return a lease; one that ended before must have been lent."""
        key = namespace, name
        return self.book.leases.get(key) or self._archive.get(key)

    def put(self, item: Stored) -> None:
        """Hold `item` in the place of what had its name."""
        before = self.find(identity(item))
        if before == item:
            return
        self._journal.append(Change(before, item))
        self.book.put(item)
        if isinstance(item, Lease) and item.ended:
            self._archive[item.namespace, item.name] = item
        self._touch(before, item)

    def remove(self, item: Stored) -> None:
        """Hold nothing of the name of `item`."""
        before = self.find(identity(item))
        if before is None:
            return
        self._journal.append(Change(before, None))
        self.book.remove(before)
        if isinstance(item, Lease):
            self._archive.pop((item.namespace, item.name), None)
        self._touch(before, None)

    def mark(self) -> int:
        """Return a place to go back to."""
        return len(self._journal)

    def rollback(self, mark: int = 0) -> None:
        """Take back everything since `mark`."""
        while len(self._journal) > mark:
            change = self._journal.pop()
            if change.old is not None:
                self.book.put(change.old)
            elif change.new is not None:
                self.book.remove(change.new)
            if isinstance(change.new, Lease):
                self._recall(change.old, change.new)
        self.touched = Touched()

    def changes(self) -> Sequence[Change]:
        """Return each object that is not as it was, once."""
        first: dict[Identity, Stored | None] = {}
        last: dict[Identity, Stored | None] = {}
        for change in self._journal:
            key = identity(change.new or change.old)
            first.setdefault(key, change.old)
            last[key] = change.new
        found = (Change(old, last[key]) for key, old in first.items())
        return [change for change in found if change.old != change.new]

    def _recall(self, old: Stored | None, new: Lease) -> None:
        key = new.namespace, new.name
        self._archive.pop(key, None)
        if isinstance(old, Lease) and old.ended:
            self._archive[key] = old

    def find(self, key: Identity) -> Stored | None:
        """Return what is held under an identity."""
        kind, namespace, name = key
        if kind is Lease:
            return self.lease(namespace, name)
        return self.book.find(kind, namespace, name)

    def _touch(self, before: Stored | None, after: Stored | None) -> None:
        match after or before:
            case Lease():
                self._touch_lease(before, after)
            case Exporter():
                self._touch_exporter(before, after)
            case Policy(namespace=namespace):
                self.touched.namespaces.add(namespace)
            case Client(namespace=namespace):
                if not _same_labels(before, after):
                    self.touched.namespaces.add(namespace)
            case _:
                pass

    def _touch_lease(self, before: Stored | None, after: Stored | None) -> None:
        old = before if isinstance(before, Lease) else None
        new = after if isinstance(after, Lease) else None
        if new is not None and not new.ended and _asks(old) != _asks(new):
            self.touched.leases.add((new.namespace, new.name))
        if old is not None and old.live and (new is None or new.ended):
            self.touched.namespaces.add(old.namespace)

    def _touch_exporter(self, before: Stored | None, after: Stored | None) -> None:
        both = [one for one in (before, after) if isinstance(one, Exporter)]
        if len(both) == 1 or self._eligible(both[0]) != self._eligible(both[1]):
            self.touched.namespaces.add(both[0].namespace)

    def _eligible(self, exporter: Exporter) -> object:
        held = self.book.holder(exporter) is not None
        status = None if held else exporter.status
        return exporter.labels, exporter.enabled, exporter.present, status


def identity(item: Stored | None) -> Identity:
    """Return what stays the same when an object changes."""
    match item:
        case Router(name=name):
            return Router, "", name
        case Client() | Exporter() | Lease() | Policy():
            return type(item), item.namespace, item.name
        case None:
            raise ValueError("nothing has no identity")


def _asks(lease: Lease | None) -> object:
    if lease is None:
        return None
    times = lease.duration, lease.begin_time, lease.end_time
    return (*times, lease.client, lease.exporter is None)


def _same_labels(before: Stored | None, after: Stored | None) -> bool:
    return (
        isinstance(before, Client)
        and isinstance(after, Client)
        and dict(before.labels) == dict(after.labels)
    )
