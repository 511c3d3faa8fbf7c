"""Who gets what, quickly: what `scheduling.schedule` decides, without looking at each exporter.

Rule: pure. All that wait are decided on together, by pool; what it costs is the number of pools and
of grants, and not that of exporters or of leases that wait on.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from .lease_state import PENDING
from .market import Market, Pool
from .objects import Lease
from .policies import Admission
from .prospects import Option, Refusal, options
from .scheduling import (
    MESSAGES,
    NOT_AVAILABLE,
    NOT_READY,
    OFFLINE,
    Assignment,
    Decision,
    Verdict,
)


@dataclass(slots=True)
class _Served:
    """What was decided so far."""

    exporters: set[str] = field(default_factory=set[str])
    leases: set[str] = field(default_factory=set[str])


@dataclass(slots=True)
class _Line:
    """The leases of one pool, from the first that is not served."""

    pool: Pool
    market: Market
    now: datetime
    next: int = 0

    def head(self) -> Lease | None:
        """Return the first; one that is not to begin yet, after the clock was set back, is not."""
        waiting = self.pool.waiting
        while self.next < len(waiting):
            lease = self.market.leases[waiting[self.next][1]]
            if lease.waiting(self.now):
                return lease
            self.next += 1
        return None


def decide(market: Market, now: datetime) -> list[Decision]:
    """Return what is to be done for those who wait; nothing for those who just wait on."""
    market.promote(now)
    asking = market.asking()
    served = _Served()
    refusals = [one for pool in asking if not pool.terms for one in _refuse(pool, market)]
    pools = [pool for pool in asking if pool.terms]
    grants = [*_grants(pools, market, now, served)]
    room = _room(pools, market, now, served) if market.spot_held else {}
    return [*refusals, *grants, *_waits(pools, served, room)]


def reason(pool: Pool, taken: Iterable[str] = ()) -> str:
    """Return why those of a pool wait, when the exporters `taken` are given away too."""
    if not pool.present:
        return OFFLINE
    gone = sum(name in pool.terms for name in taken)
    return NOT_READY if pool.idle > gone else NOT_AVAILABLE


def _refuse(pool: Pool, market: Market) -> Iterator[Verdict]:
    found = options(pool.demand, market.situation)
    if isinstance(found, Refusal):
        for _, name in pool.waiting:
            yield Verdict(market.leases[name], found.kind, found.reason, found.message)


def _grants(
    pools: list[Pool], market: Market, now: datetime, served: _Served
) -> Iterator[Assignment]:
    """Give each usable exporter to the best who wants it."""
    heap: list[tuple[Admission, int, int, Iterator[str]]] = []
    lines = [_Line(pool, market, now) for pool in pools]
    for number, line in enumerate(lines):
        if line.pool.tiers and (head := line.head()) is not None:
            heap += (
                (admission, head.sequence, number, iter(names))
                for admission, names in line.pool.tiers.items()
            )
    heapq.heapify(heap)
    while heap:
        admission, sequence, number, names = heapq.heappop(heap)
        line = lines[number]
        head = line.head()
        if head is None:
            continue
        if head.sequence != sequence:
            heapq.heappush(heap, (admission, head.sequence, number, names))
            continue
        name = next((one for one in names if one not in served.exporters), None)
        if name is None:
            continue
        served.exporters.add(name)
        served.leases.add(head.name)
        line.next += 1
        yield _assignment(market, head, name, admission)
        if (head := line.head()) is not None:
            heapq.heappush(heap, (admission, head.sequence, number, names))


def _assignment(
    market: Market, lease: Lease, name: str, admission: Admission, evicts: Lease | None = None
) -> Assignment:
    exporter = market.situation.fleet.get(name)
    if exporter is None:
        raise ValueError(f"exporter {name} is in a pool and not there")
    return Assignment(lease, Option(exporter, admission), evicts)


def _waits(pools: list[Pool], served: _Served, room: dict[str, Assignment]) -> Iterator[Decision]:
    """Return what those are told who just began to wait, and whom to evict for whom."""
    for one in room.values():
        if one.option.exporter.fresh:
            yield one
        else:
            yield Verdict(one.lease, PENDING, NOT_READY, MESSAGES[NOT_READY], one.evicts)
    for pool in pools:
        why = reason(pool, served.exporters) if pool.untold else ""
        for lease in pool.untold.values():
            if lease.name not in served.leases and lease.name not in room:
                yield Verdict(lease, PENDING, why, MESSAGES[why])


def _room(
    pools: list[Pool], market: Market, now: datetime, served: _Served
) -> dict[str, Assignment]:
    """Return whom to evict, for whom, by the name of the lease that needs the exporter.

    A lease waits for an exporter that is about to be ready rather than evict anybody; but one such
    exporter does for one lease only.
    """
    soon = {name for name in market.cleaning if name not in served.exporters}
    held = {name for name in market.spot_held if name not in served.exporters}
    room: dict[str, Assignment] = {}
    for lease, pool in _wanting(pools, market, now, served):
        if not held:
            break
        if (name := _first_soon(pool, soon)) is not None:
            soon.discard(name)
        elif (name := _victim(pool, market, held)) is not None:
            held.discard(name)
            victim = market.situation.held[name]
            room[lease.name] = _assignment(market, lease, name, pool.terms[name], victim)
    return room


def _wanting(
    pools: list[Pool], market: Market, now: datetime, served: _Served
) -> list[tuple[Lease, Pool]]:
    """Return those who wait and are admitted normally somewhere, the best first."""
    found: list[tuple[Admission, int, Lease, Pool]] = []
    for pool in pools:
        terms = pool.normal_terms()
        if terms is None:
            continue
        for sequence, name in pool.waiting:
            lease = market.leases[name]
            over = lease.expires_at is not None and lease.expires_at <= now
            if name not in served.leases and lease.waiting(now) and not over:
                found.append((terms, sequence, lease, pool))
    found.sort(key=lambda one: one[:2])
    return [one[2:] for one in found]


def _normal(pool: Pool, name: str) -> bool:
    terms = pool.terms.get(name)
    return terms is not None and not terms.spot


def _first_soon(pool: Pool, soon: set[str]) -> str | None:
    """Return an exporter that will be usable by itself."""
    return min((name for name in soon if _normal(pool, name)), default=None)


def _victim(pool: Pool, market: Market, held: set[str]) -> str | None:
    """Return the exporter whose holder by spot access is to leave."""

    def rank(name: str) -> tuple[int, int, str]:
        holder = market.situation.held[name]
        return holder.priority, -holder.sequence, name

    found = [name for name in held if _normal(pool, name) and _present(market, name)]
    return min(found, key=rank, default=None)


def _present(market: Market, name: str) -> bool:
    exporter = market.situation.fleet.get(name)
    return exporter is not None and exporter.present
