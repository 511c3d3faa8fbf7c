"""The state of the lab that decisions are made from: everything but the leases that have ended.

Rule: it holds values and finds them quickly, and decides nothing. There are two: what is stored,
for those who ask, and what is being decided, for the writer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from .fleet import Fleet
from .market import Market
from .objects import Client, Exporter, Lease, Policy, Router
from .prospects import Situation
from .store.protocol import Snapshot, Stored

Key = tuple[str, str]
"""Namespace and name."""

NO_LEASES: Mapping[str, Lease] = {}
EMPTY = Fleet()
MOST_OVER = 1000
"""How many leases are kept that have ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator may choose.

    `spot` allows leases that a policy admits only while nobody else needs the device. Those who
    wait hear of where they stand at most once in `queue_news_apart`, and at once when they are
    served.
    """

    lease_retention: timedelta = timedelta(days=30)
    offline_after: timedelta = timedelta(seconds=60)
    router_timeout: timedelta = timedelta(seconds=30)
    flush_after: timedelta = timedelta(seconds=30)
    queue_news_apart: timedelta = timedelta(seconds=1)
    max_tags: int = 10
    spot: bool = True


class Book:
    """The clients, exporters, policies, routers and leases that there are now.

    `over` has some leases that ended lately: they are asked for most among those that have ended.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self.clients: dict[Key, Client] = {}
        self.exporters: dict[Key, Exporter] = {}
        self.leases: dict[Key, Lease] = {}
        self.policies: dict[Key, Policy] = {}
        self.routers: dict[str, Router] = {}
        self.held: dict[str, dict[str, Lease]] = {}
        self.over: dict[Key, Lease] = {}
        self._tables: Mapping[type, Mapping[Key, Stored]] = {
            Client: self.clients,
            Exporter: self.exporters,
            Policy: self.policies,
            Lease: self.leases,
        }
        self._markets: dict[tuple[str, bool], Market] = {}
        self._labels: dict[str, dict[str, Mapping[str, str]]] = {}
        self._fleets: dict[str, Fleet] = {}
        self._unassigned: dict[str, dict[str, Lease]] = {}

    def load(self, snapshot: Snapshot) -> None:
        """Forget everything, and hold what `snapshot` has."""
        tables = (self.over, self.clients, self.exporters, self.leases, self.policies, self.routers)
        indexes = (self.held, self._markets, self._labels, self._fleets, self._unassigned)
        for table in (*tables, *indexes):
            table.clear()
        kinds: tuple[Iterable[Stored], ...] = (
            snapshot.clients,
            snapshot.exporters,
            snapshot.policies,
            snapshot.routers,
            snapshot.leases,
        )
        for kind in kinds:
            for item in kind:
                self.put(item)

    def fleet(self, namespace: str) -> Fleet:
        """Return the exporters of a namespace."""
        return self._fleets.get(namespace, EMPTY)

    def holder(self, exporter: Exporter) -> Lease | None:
        """Return the live lease on an exporter."""
        return self.held.get(exporter.namespace, NO_LEASES).get(exporter.name)

    def unassigned(self, namespace: str) -> Mapping[str, Lease]:
        """Return the leases of a namespace, by name, that have no exporter yet."""
        return self._unassigned.get(namespace, NO_LEASES)

    def policies_of(self, namespace: str) -> list[Policy]:
        """Return the policies of a namespace, in order of name."""
        found = [item for (where, _), item in self.policies.items() if where == namespace]
        return sorted(found, key=lambda item: item.name)

    def situation(self, namespace: str, *, spot: bool) -> Situation:
        """Return what the scheduler must know of a namespace."""
        return Situation(
            fleet=self.fleet(namespace),
            held=self.held.setdefault(namespace, {}),
            policies=self.policies_of(namespace),
            labels=self._labels.setdefault(namespace, {}),
            spot=spot,
        )

    def market(self, namespace: str, *, spot: bool) -> Market:
        """Return what those who wait in a namespace could have."""
        found = self._markets.get((namespace, spot))
        if found is None:
            self._fleets.setdefault(namespace, Fleet())
            scene = self.situation(namespace, spot=spot)
            found = Market(scene, self.unassigned(namespace).values())
            self._markets[namespace, spot] = found
        return found

    def find(self, kind: type, namespace: str, name: str) -> Stored | None:
        """Return what is held of a kind under a name; leases only while they have not ended."""
        if kind is Router:
            return self.routers.get(name)
        return self._tables[kind].get((namespace, name))

    def put(self, item: Stored) -> None:
        """Hold `item` in the place of what had its name."""
        match item:
            case Client():
                self._put_client(item)
            case Exporter():
                before = self.exporters.get((item.namespace, item.name))
                self.exporters[item.namespace, item.name] = item
                self._fleets.setdefault(item.namespace, Fleet()).replace(before, item)
                self._look_at(item.namespace, item.name)
            case Policy():
                self.policies[item.namespace, item.name] = item
                self._close_markets(item.namespace)
            case Router():
                self.routers[item.name] = item
            case Lease():
                self._forget(self.leases.pop((item.namespace, item.name), None))
                self._remember(item)

    def remove(self, item: Stored) -> None:
        """Hold nothing of the name of `item`."""
        match item:
            case Client():
                self.clients.pop((item.namespace, item.name), None)
                self._labels.get(item.namespace, {}).pop(item.name, None)
                self._client_changed(item)
            case Exporter():
                before = self.exporters.pop((item.namespace, item.name), None)
                self._forget_leases_of(item)
                self._fleets.setdefault(item.namespace, Fleet()).replace(before, None)
                self._look_at(item.namespace, item.name)
            case Policy():
                self.policies.pop((item.namespace, item.name), None)
                self._close_markets(item.namespace)
            case Router():
                self.routers.pop(item.name, None)
            case Lease():
                self.over.pop((item.namespace, item.name), None)
                self._forget(self.leases.pop((item.namespace, item.name), None))

    def forget_over(self, before: datetime) -> None:
        """Forget the leases that ended at `before` or earlier."""
        for key, lease in [*self.over.items()]:
            if lease.effective_end is not None and lease.effective_end <= before:
                del self.over[key]

    def _forget_leases_of(self, exporter: Exporter) -> None:
        """Forget the ended leases of an exporter, which go with it."""
        for key, lease in [*self.over.items()]:
            if lease.exporter_uid == exporter.uid:
                del self.over[key]

    def _put_client(self, client: Client) -> None:
        before = self.clients.get((client.namespace, client.name))
        self.clients[client.namespace, client.name] = client
        self._labels.setdefault(client.namespace, {})[client.name] = client.labels
        if before is None or before.labels != client.labels:
            self._client_changed(client)

    def _forget(self, lease: Lease | None) -> None:
        if lease is None:
            return
        if lease.exporter is None:
            del self._unassigned[lease.namespace][lease.name]
            for market in self._open_markets(lease.namespace):
                market.discard(lease)
            return
        # The exporter may have its next lease already: changes come in no particular order.
        held = self.held[lease.namespace]
        if held.get(lease.exporter) is lease:
            del held[lease.exporter]
            self._holder_changed(lease.namespace, lease.exporter)

    def _remember(self, lease: Lease) -> None:
        self.over.pop((lease.namespace, lease.name), None)
        if lease.ended:
            self.over[lease.namespace, lease.name] = lease
            if len(self.over) > MOST_OVER:
                del self.over[next(iter(self.over))]
            return
        self.leases[lease.namespace, lease.name] = lease
        if lease.exporter is None:
            self._unassigned.setdefault(lease.namespace, {})[lease.name] = lease
            for market in self._open_markets(lease.namespace):
                market.add(lease)
        else:
            self.held.setdefault(lease.namespace, {})[lease.exporter] = lease
            self._holder_changed(lease.namespace, lease.exporter)

    def _open_markets(self, namespace: str) -> Iterable[Market]:
        found = (self._markets.get((namespace, spot)) for spot in (False, True))
        return [market for market in found if market is not None]

    def _close_markets(self, namespace: str) -> None:
        for spot in (False, True):
            self._markets.pop((namespace, spot), None)

    def _look_at(self, namespace: str, exporter: str) -> None:
        for market in self._open_markets(namespace):
            market.look_at(exporter)

    def _holder_changed(self, namespace: str, exporter: str) -> None:
        for market in self._open_markets(namespace):
            market.holder_changed(exporter)

    def _client_changed(self, client: Client) -> None:
        for market in self._open_markets(client.namespace):
            market.client_changed(client.name)
