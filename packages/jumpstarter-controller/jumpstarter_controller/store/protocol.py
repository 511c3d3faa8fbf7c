"""What the engine needs of a database.

Rule: everything that one decision changed is written at once or not at all, and only if nothing was
written since the state that the decision was made from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jumpstarter_controller.objects import Client, Exporter, Lease, Policy, Router

Stored = Client | Exporter | Lease | Policy | Router
"""What is kept."""


class Conflict(Exception):  # noqa: N818 - it is no failure: load again, and decide again
    """Somebody else wrote since the state was loaded. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Change:
    """One object before and after; None is one that is not there."""

    old: Stored | None
    new: Stored | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that decisions need: everything but the leases that have ended.

    `revision` grows with each write; `sequence` is the highest of any lease; `oldest_end` is when
    the first of the ended leases ended.
    """

    revision: int
    sequence: int = 0
    clients: Sequence[Client] = ()
    exporters: Sequence[Exporter] = ()
    leases: Sequence[Lease] = ()
    policies: Sequence[Policy] = ()
    routers: Sequence[Router] = ()
    oldest_end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseQuery:
    """Which leases are asked for: those of a namespace, by name, after a name."""

    namespace: str
    after: str = ""
    limit: int = 1000
    client: str | None = None


class Store(Protocol):
    """A database. Every method raises StoreUnavailable where the database fails."""

    async def load(self) -> Snapshot:
        """Return the state that decisions are made from."""
        ...

    async def commit(self, revision: int, changes: Sequence[Change]) -> int:
        """Write `changes`, which were decided at `revision`; return the new revision.

        Raises Conflict. The changes are on disk when this returns.
        """
        ...

    async def confirm(self, revision: int) -> None:
        """Raise Conflict if anybody has written since `revision`."""
        ...

    async def lease(self, namespace: str, name: str) -> Lease | None:
        """Return one lease, ended or not."""
        ...

    async def leases_named(self, keys: Sequence[tuple[str, str]]) -> Sequence[Lease]:
        """Return those leases, ended or not, that have one of these namespaces and names."""
        ...

    async def leases(self, query: LeaseQuery) -> Sequence[Lease]:
        """Return leases, ended or not, in order of name."""
        ...

    async def purge(self, before: datetime, limit: int) -> datetime | None:
        """Remove up to `limit` leases that ended before; return when the oldest one left ended."""
        ...
