"""What can be asked of the lab; everything is answered from what is stored."""

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import TypeVar

from jumpstarter.model.selectors import parse_label_selector

from .book import Book, Settings
from .clock import Clock
from .fleet import admits
from .market import Market
from .metrics import Acquisitions, Numbers
from .objects import Client, Exporter, ExporterLease, Kind, Lease, Page, Place, Policy, Router
from .operations.people import known
from .paging import check_size, cut, place_of
from .queueing import FEW, as_it_waits, place
from .store.protocol import LeaseQuery, Store
from .validation import canonical_selector

T = TypeVar("T", Client, Exporter)

TAG_PREFIX = "metadata.jumpstarter.dev/"
ENDED_LABEL = "jumpstarter.dev/lease-ended"

READ_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseFilter:
    """Which leases are asked for; `selector` and `tag_selector` are in canonical form."""

    namespace: str
    selector: str = ""
    tag_selector: str = ""
    only_active: bool = True
    client: str | None = None

    @classmethod
    def of(
        cls,
        namespace: str,
        selector: str,
        tag_selector: str,
        *,
        only_active: bool,
        client: str | None,
    ) -> "LeaseFilter":
        """Return the filter, or refuse a malformed one."""
        return cls(
            namespace=namespace,
            selector=canonical_selector(selector),
            tag_selector=canonical_selector(tag_selector),
            only_active=only_active,
            client=client,
        )

    def admits(self, lease: Lease) -> bool:
        """Return whether a lease of the namespace is one of those."""
        return (
            (self.client is None or lease.client == self.client)
            and admits(self.tag_selector, lease.tags)
            and (not self.selector or admits(self.selector, labels_of(lease)))
        )


def labels_of(lease: Lease) -> dict[str, str]:
    """Return the labels of a lease: the equalities of its selector, its tags, and its end."""
    equalities, _ = parse_label_selector(lease.selector)
    labels = {key: value for key, value in equalities.items() if not key.startswith(TAG_PREFIX)}
    labels |= {TAG_PREFIX + key: value for key, value in lease.tags.items()}
    if lease.ended:
        labels[ENDED_LABEL] = "true"
    return labels


class Questions:
    """Answers from `book`, which is what is stored, and from the store what is not in it."""

    def __init__(self, store: Store, book: Book, clock: Clock, settings: Settings) -> None:
        """Ask `store` only for leases that have ended."""
        self._store = store
        self._book = book
        self._clock = clock
        self._settings = settings

    def client(self, namespace: str, name: str) -> Client:
        """Return one client."""
        key = namespace, name
        return known("client", key, self._book.clients.get(key))

    def exporter(self, namespace: str, name: str) -> Exporter:
        """Return one exporter."""
        key = namespace, name
        return known("exporter", key, self._book.exporters.get(key))

    def find(self, kind: Kind, namespace: str, name: str) -> Client | Exporter:
        """Return one client or exporter."""
        if kind == "Client":
            return self.client(namespace, name)
        return self.exporter(namespace, name)

    def clients(self, namespace: str, selector: str) -> list[Client]:
        """Return the clients whose labels match, in order of name."""
        return _selected(namespace, selector, self._book.clients.values())

    def exporters(
        self, namespace: str, selector: str, page_size: int, page_token: str
    ) -> Page[Exporter]:
        """Return a page of the exporters whose labels match."""
        check_size(page_size)
        after = place_of(page_token)
        found = _selected(namespace, selector, self._book.exporters.values())
        return cut([(one.name, one) for one in found if one.name > after], page_size)

    def policies(self, namespace: str) -> list[Policy]:
        """Return the policies, in order of name."""
        return self._book.policies_of(namespace)

    def routers(self) -> list[Router]:
        """Return the routers that were heard of lately, the least loaded first."""
        oldest = self._clock.now() - self._settings.router_timeout
        alive = (one for one in self._book.routers.values() if one.last_seen >= oldest)
        return sorted(alive, key=lambda one: (one.load, one.name))

    def router(self, name: str) -> Router | None:
        """Return one router, alive or not."""
        return self._book.routers.get(name)

    def told_to(self, exporter: Exporter) -> ExporterLease | None:
        """Return what an exporter is to know of its lease."""
        lease = self._book.holder(exporter)
        if lease is None:
            return None
        return ExporterLease(
            lease_name=lease.name,
            client_name=lease.client,
            context=lease.context,
            fence=lease.fence,
        )

    async def lease(self, namespace: str, name: str) -> Lease:
        """Return one lease."""
        key = namespace, name
        held = self._book.leases.get(key)
        if held is not None:
            return self.as_it_is(held)
        over = self._book.over.get(key)
        return over or known("lease", key, await self._store.lease(namespace, name))

    def as_it_is(self, lease: Lease) -> Lease:
        """Return a lease that is stored, with the reason for which it waits."""
        if lease.exporter is not None or lease.ended:
            return lease
        return as_it_waits(lease, self._market(lease.namespace), self._clock.now())

    def _market(self, namespace: str) -> Market:
        return self._book.market(namespace, spot=self._settings.spot)

    async def leases(self, wanted: LeaseFilter, page_size: int, page_token: str) -> Page[Lease]:
        """Return a page of leases."""
        check_size(page_size)
        after = place_of(page_token)
        enough = page_size + 1 if page_size else None
        found: list[Lease] = []
        async for lease in self._leases(wanted, after):
            if wanted.admits(lease):
                found.append(self.as_it_is(lease))
            if len(found) == enough:
                break
        return cut([(lease.name, lease) for lease in found], page_size)

    def numbers(self, acquisitions: Acquisitions) -> Numbers:
        """Return the state of the lab in numbers."""
        exporters = self._book.exporters.values()
        leases = self._book.leases.values()
        return Numbers(
            clients=len(self._book.clients),
            exporters=len(exporters),
            exporters_online=sum(one.online for one in exporters),
            leases_live=sum(one.live for one in leases),
            leases_waiting=sum(one.waiting(self._clock.now()) for one in leases),
            routers=len(self.routers()),
            acquired=acquisitions.success,
            refused=acquisitions.failure,
        )

    def place(self, lease: Lease, few: int = FEW) -> Place:
        """Return where a lease stands among those that wait, with a few of those before it."""
        return place(lease, self._market(lease.namespace), self._clock.now(), few)

    async def _leases(self, wanted: LeaseFilter, after: str) -> AsyncGenerator[Lease]:
        """Yield leases in order of name, those that have ended too unless that is not wanted."""
        if wanted.only_active:
            held = self._book.leases.values()
            here = [one for one in held if one.namespace == wanted.namespace and one.name > after]
            for lease in sorted(here, key=lambda one: one.name):
                yield lease
            return
        while True:
            query = LeaseQuery(
                namespace=wanted.namespace, after=after, limit=READ_AT_ONCE, client=wanted.client
            )
            some = await self._store.leases(query)
            for lease in some:
                yield lease
            if len(some) < READ_AT_ONCE:
                return
            after = some[-1].name


def _selected(namespace: str, selector: str, items: Iterable[T]) -> list[T]:
    selector = canonical_selector(selector)
    found = (one for one in items if one.namespace == namespace and admits(selector, one.labels))
    return sorted(found, key=lambda one: one.name)
