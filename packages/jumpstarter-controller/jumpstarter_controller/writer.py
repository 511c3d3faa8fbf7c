"""The one task that changes the lab: it decides, stores, and only then answers.

Rule: what was ordered while the disk was busy is decided together and stored in one transaction, so
that the disk sets the pace of transactions and not of orders. Nobody sees what is not stored. When
storing fails, everything of that transaction is taken back and whoever ordered is told.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar, cast

import anyio
from anyio.abc import TaskStatus

from .book import Book, Key, Settings
from .clock import Clock
from .draft import Draft, Identity, identity
from .errors import Busy, Closed, LabError, StoreUnavailable
from .metrics import Acquisitions
from .objects import Exporter, Lease, Router
from .operations.settling import fall_due
from .store.protocol import Change, Conflict, Store, Stored
from .timers import COLLECT, FLUSH, Timers
from .topics import PARTS, QUEUE, Topic, exporter_topic, lease_topic, queue_topic
from .watch import Watch

T = TypeVar("T")

BATCH = 256
"""How many orders one transaction holds at most."""

ATTEMPTS = 5
"""How often a transaction is decided again because somebody else wrote first."""

PATIENCE = timedelta(seconds=1)
"""When to try again what was due, after the database failed."""

PURGED_AT_ONCE = 1000

MANY = 100
"""How many may wait until news of the queue become more seldom."""

SLACK = 1000
"""How many entries the timers have at most beside four per object."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Order(Generic[T]):
    """Something to be done, and what came of it; `about` is a lease that it needs to know."""

    operation: Callable[[Draft], T]
    about: Key | None = None
    done: anyio.Event = field(default_factory=anyio.Event)
    result: T | None = None
    error: Exception | None = None


class Writer:
    """Owns the state; `committed` is what is stored of it, for those who ask."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, watch: Watch) -> None:
        """Write to `store`, and tell `watch` what changed."""
        self.committed = Book()
        self._book = Book()
        self._store = store
        self._clock = clock
        self._settings = settings
        self._watch = watch
        self._timers = Timers(settings)
        self._revision = 0
        self._sequence = 0
        self._orders: list[Order[Any]] = []
        self._news = anyio.Event()
        self._heard: dict[Identity, None] = {}
        self._queue_news: dict[Topic, datetime] = {}
        self.acquisitions = Acquisitions()
        self._closing = False
        self.ended = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Load the state, and do what is ordered and what falls due until closed."""
        await self._load()
        self._timers.reset(self._book, self._clock.now(), grace=True)
        task_status.started()
        try:
            await self._work()
        finally:
            self.ended.set()

    async def _work(self) -> None:
        while self._orders or not self._closing:
            if not self._orders:
                await self._clock.wait(self._news, self._timers.next())
            self._news = anyio.Event()
            orders, self._orders = self._orders[:BATCH], self._orders[BATCH:]
            with anyio.CancelScope(shield=True):
                await self._turn(orders)
        if self._heard:
            self._timers.add(self._clock.now(), FLUSH)
            with anyio.CancelScope(shield=True):
                await self._turn([])

    def close(self) -> None:
        """Take no more orders; `run` ends when those that were taken are done."""
        self._closing = True
        self._news.set()

    async def do(self, operation: Callable[[Draft], T], about: Key | None = None) -> T:
        """Have `operation` done and stored; return its result."""
        if self._closing or self.ended.is_set():
            raise Closed("the controller is shutting down")
        order = Order(operation, about)
        self._orders.append(order)
        self._news.set()
        await order.done.wait()
        if order.error is not None:
            raise order.error
        return cast("T", order.result)

    def heard(self, item: Exporter | Router) -> None:
        """Take in when something was heard; that alone is stored only now and then."""
        for book in (self._book, self.committed):
            book.put(item)
        self._heard[identity(item)] = None
        self._timers.once(self._clock.now() + self._settings.flush_after, FLUSH)

    async def _turn(self, orders: Sequence[Order[Any]]) -> None:
        """Do what was ordered and what is due; whoever ordered learns what came of it."""
        try:
            await self._insist(orders)
        except StoreUnavailable as error:
            _fail(orders, error)
        for order in orders:
            order.done.set()

    async def _insist(self, orders: Sequence[Order[Any]]) -> None:
        for _ in range(ATTEMPTS):
            try:
                await self._transact(orders)
            except Conflict:
                await self._load()
            else:
                return
        _fail(orders, Busy("the database is written by others all the time: try again"))

    async def _transact(self, orders: Sequence[Order[Any]]) -> None:
        """Do what was ordered and what is due, in one transaction, or nothing of it."""
        now = self._clock.now()
        due = self._timers.due(now)
        draft = Draft(self._book, self._settings, now, self._sequence)
        try:
            await self._lend(draft, orders)
            fall_due(draft, self._timers, due)
            for order in orders:
                _carry_out(order, draft)
            changes = self._changes(draft, due)
            await self._store_changes(changes, orders)
        except (Conflict, StoreUnavailable):
            draft.rollback()
            self._timers.again(due, now + PATIENCE)
            raise
        self._stored(draft, changes, due)
        await self._collect(draft, due)

    async def _store_changes(self, changes: Sequence[Change], orders: Iterable[Order[Any]]) -> None:
        if changes:
            self._revision = await self._store.commit(self._revision, changes)
        elif any(order.error is not None for order in orders):
            # What was refused may have been possible, had we known what others wrote.
            await self._store.confirm(self._revision)

    async def _lend(self, draft: Draft, orders: Iterable[Order[Any]]) -> None:
        """Fetch the leases that have ended and that an order is about."""
        unknown: set[Key] = set()
        for order in orders:
            if order.about is None or draft.lease(*order.about) is not None:
                continue
            over = self.committed.over.get(order.about)
            if over is None:
                unknown.add(order.about)
            else:
                draft.lend(over)
        if unknown:
            for lease in await self._store.leases_named(sorted(unknown)):
                draft.lend(lease)

    def _changes(self, draft: Draft, due: Sequence[Topic]) -> list[Change]:
        """Return what to store: what was decided and, when that is due, who was heard."""
        changes = {identity(one.new or one.old): one for one in draft.changes()}
        if FLUSH in due:
            for key in self._heard.keys() - changes.keys():
                item = draft.find(key)
                if item is not None:
                    changes[key] = Change(item, item)
        return list(changes.values())

    def _stored(self, draft: Draft, changes: Sequence[Change], due: Sequence[Topic]) -> None:
        self._sequence = draft.sequence
        if FLUSH in due:
            self._heard.clear()
        self.acquisitions.count(changes)
        topics: set[Topic] = set()
        # Of who was heard only that was stored, which is known already and is no news.
        news = [change for change in changes if change.old is not change.new]
        for change in news:
            apply_change(self.committed, change)
            self._timers.watch(change.new, draft.now)
            topics |= _topics(change.old) | _topics(change.new)
        topics |= self._queue_news_now(news, due, draft.now)
        objects = len(self._book.leases) + len(self._book.exporters)
        if len(self._timers) > 4 * objects + SLACK:
            self._timers.reset(self._book, draft.now, grace=False)
        self._watch.publish(topics)

    def _queue_news_now(
        self, changes: Iterable[Change], due: Iterable[Topic], now: datetime
    ) -> set[Topic]:
        """Return which news of queues to tell now; the others are put off.

        The more wait, the more seldom they are told, and not all at once.
        """
        told = {topic for topic in due if topic.kind == QUEUE}
        for namespace in {one for change in changes for one in _namespaces(change)}:
            crowd = len(self._book.unassigned(namespace)) / MANY
            apart = self._settings.queue_news_apart * max(crowd, 1.0)
            for part in range(PARTS):
                topic = queue_topic(namespace, part)
                last = self._queue_news.get(topic)
                if last is not None and last <= now < last + apart:
                    self._timers.once(last + apart, topic)
                elif crowd > 1.0:
                    self._timers.once(now + apart * part / PARTS, topic)
                else:
                    told.add(topic)
        self._queue_news |= dict.fromkeys(told, now)
        return told

    async def _collect(self, draft: Draft, due: Sequence[Topic]) -> None:
        """Remove leases that ended long ago, some at a time."""
        if COLLECT not in due:
            return
        retention = self._settings.lease_retention
        self.committed.forget_over(draft.now - retention)
        try:
            oldest = await self._store.purge(draft.now - retention, PURGED_AT_ONCE)
        except StoreUnavailable as error:
            log.warning("ended leases were not removed: %s", error)
            self._timers.once(draft.now + PATIENCE, COLLECT)
            return
        if oldest is not None:
            self._timers.once(oldest + retention, COLLECT)

    async def _load(self) -> None:
        """Forget what is known, and read what is stored."""
        snapshot = await self._store.load()
        before = _all_topics(self.committed)
        heard = [self.committed.find(*key) for key in self._heard]
        for book in (self._book, self.committed):
            book.load(snapshot)
            keep_heard(book, heard)
        self._revision, self._sequence = snapshot.revision, snapshot.sequence
        self._timers.reset(self._book, self._clock.now(), grace=False)
        if snapshot.oldest_end is not None:
            self._timers.once(snapshot.oldest_end + self._settings.lease_retention, COLLECT)
        self._watch.publish(before | _all_topics(self.committed))


def _carry_out(order: Order[Any], draft: Draft) -> None:
    """Do one order; one that fails leaves nothing behind, and the others are done."""
    mark = draft.mark()
    order.error = None
    try:
        order.result = order.operation(draft)
    except LabError as error:
        draft.rollback(mark)
        order.error = error
    except Exception as error:  # noqa: BLE001 - it is raised to the one who ordered, with its traceback
        draft.rollback(mark)
        order.error = error


def _fail(orders: Iterable[Order[Any]], error: LabError) -> None:
    for order in orders:
        order.error = type(error)(error.message)


def apply_change(book: Book, change: Change) -> None:
    """Put into `book` what an object has become."""
    if change.new is not None:
        book.put(change.new)
    elif change.old is not None:
        book.remove(change.old)


def keep_heard(book: Book, heard: Iterable[Stored | None]) -> None:
    """Put into `book` when exporters were heard, where that is not stored yet."""
    for item in heard:
        if not isinstance(item, Exporter) or item.last_seen is None:
            continue
        found = book.exporters.get((item.namespace, item.name))
        if found is not None and found.uid == item.uid:
            last = max(item.last_seen, found.last_seen or item.last_seen)
            book.put(replace(found, last_seen=last))


def _topics(item: Stored | None) -> set[Topic]:
    match item:
        case Lease(exporter=None):
            return {lease_topic(item.namespace, item.name)}
        case Lease(exporter=str(exporter)):
            lease = lease_topic(item.namespace, item.name)
            return {lease, exporter_topic(item.namespace, exporter)}
        case Exporter():
            return {exporter_topic(item.namespace, item.name)}
        case _:
            return set()


def _namespaces(change: Change) -> set[str]:
    """Return where somebody may stand elsewhere after a change."""
    both = (change.old, change.new)
    return {one.namespace for one in both if one is not None and not isinstance(one, Router)}


def _all_topics(book: Book) -> set[Topic]:
    topics: set[Topic] = set()
    for item in (*book.leases.values(), *book.exporters.values()):
        topics |= _topics(item)
    return topics
