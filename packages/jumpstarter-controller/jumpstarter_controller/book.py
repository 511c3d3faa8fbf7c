"""The state of the lab that decisions are made from: everything but the leases that have ended.

Rule: it holds values and finds them quickly, and decides nothing. There are two: what is stored,
for those who ask, and what is being decided, for the writer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from .fleet import Fleet
from .objects import Client, Exporter, Lease, Policy, Router
from .prospects import Situation
from .store.protocol import Snapshot, Stored

Key = tuple[str, str]
"""Namespace and name."""

NO_LEASES: Mapping[str, Lease] = {}
EMPTY = Fleet()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator may choose.

    `spot` allows leases that a policy admits only while nobody else needs the device.
    """

    lease_retention: timedelta = timedelta(days=30)
    offline_after: timedelta = timedelta(seconds=60)
    router_timeout: timedelta = timedelta(seconds=30)
    flush_after: timedelta = timedelta(seconds=30)
    max_tags: int = 10
    spot: bool = True


class Book:
    """The clients, exporters, policies, routers and leases that there are now."""

    def __init__(self) -> None:
        """Begin empty."""
        self.clients: dict[Key, Client] = {}
        self.exporters: dict[Key, Exporter] = {}
        self.leases: dict[Key, Lease] = {}
        self.policies: dict[Key, Policy] = {}
        self.routers: dict[str, Router] = {}
        self.held: dict[str, dict[str, Lease]] = {}
        self._tables: Mapping[type, Mapping[Key, Stored]] = {
            Client: self.clients,
            Exporter: self.exporters,
            Policy: self.policies,
            Lease: self.leases,
        }
        self._spot: dict[str, set[str]] = {}
        self._labels: dict[str, dict[str, Mapping[str, str]]] = {}
        self._fleets: dict[str, Fleet] = {}
        self._unassigned: dict[str, dict[str, Lease]] = {}

    def load(self, snapshot: Snapshot) -> None:
        """Forget everything, and hold what `snapshot` has."""
        tables = (self.clients, self.exporters, self.leases, self.policies, self.routers)
        indexes = (self.held, self._spot, self._labels, self._fleets, self._unassigned)
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

    def has_spot(self, namespace: str) -> bool:
        """Return whether any live lease is by spot access."""
        return bool(self._spot.get(namespace))

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

    def find(self, kind: type, namespace: str, name: str) -> Stored | None:
        """Return what is held of a kind under a name; leases only while they have not ended."""
        if kind is Router:
            return self.routers.get(name)
        return self._tables[kind].get((namespace, name))

    def put(self, item: Stored) -> None:
        """Hold `item` in the place of what had its name."""
        match item:
            case Client():
                self.clients[item.namespace, item.name] = item
                self._labels.setdefault(item.namespace, {})[item.name] = item.labels
            case Exporter():
                before = self.exporters.get((item.namespace, item.name))
                self.exporters[item.namespace, item.name] = item
                self._fleets.setdefault(item.namespace, Fleet()).replace(before, item)
            case Policy():
                self.policies[item.namespace, item.name] = item
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
            case Exporter():
                before = self.exporters.pop((item.namespace, item.name), None)
                self._fleets.setdefault(item.namespace, Fleet()).replace(before, None)
            case Policy():
                self.policies.pop((item.namespace, item.name), None)
            case Router():
                self.routers.pop(item.name, None)
            case Lease():
                self._forget(self.leases.pop((item.namespace, item.name), None))

    def _forget(self, lease: Lease | None) -> None:
        if lease is None:
            return
        if lease.exporter is None:
            del self._unassigned[lease.namespace][lease.name]
            return
        # The exporter may have its next lease already: changes come in no particular order.
        self._spot.get(lease.namespace, set()).discard(lease.name)
        held = self.held[lease.namespace]
        if held.get(lease.exporter) is lease:
            del held[lease.exporter]

    def _remember(self, lease: Lease) -> None:
        if lease.ended:
            return
        self.leases[lease.namespace, lease.name] = lease
        if lease.exporter is None:
            self._unassigned.setdefault(lease.namespace, {})[lease.name] = lease
        else:
            self.held.setdefault(lease.namespace, {})[lease.exporter] = lease
            if lease.spot:
                self._spot.setdefault(lease.namespace, set()).add(lease.name)
