"""What waiting leases could have, kept up to date while exporters and leases change.

Rule: pure; it is an index and decides nothing. Who asks for the same, on the same terms, is in one
pool, which knows its exporters without looking at each of them again: `prospects.options` is what
it has to agree with.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import nsmallest
from typing import NamedTuple

from .fleet import admits
from .lease_state import PENDING, condition_of
from .objects import NO_LABELS, Exporter, Lease
from .policies import Admission, Admissions
from .prospects import Demand, Situation
from .scheduling import CLEANING

SPARE = 64
"""How many pools are kept that nobody waits for."""

PoolKey = tuple[str, str | None, bool, Admissions]


class Standing(NamedTuple):
    """What matters of an exporter to those who wait."""

    exporter: tuple[object, bool]
    """Its labels, and whether it is enabled: these decide who could have it."""
    present: bool
    idle: bool
    """It is there and nobody has it."""
    usable: bool
    """It can be given at once."""
    cleaning: bool
    """It is idle, and will be usable by itself."""
    spot: bool
    """Who has it has it by spot access."""


@dataclass(slots=True, eq=False)
class Pool:
    """Those who ask for the same on the same terms, and what they could have.

    `terms` has every exporter that may be given, there or not; `tiers` the names of those that can
    be given at once, in order. `waiting` is in order of creation; `untold` are those of it that no
    condition says yet that they wait.
    """

    demand: Demand
    admissions: Admissions
    spot_allowed: bool
    terms: dict[str, Admission] = field(default_factory=dict[str, Admission])
    tiers: dict[Admission, list[str]] = field(default_factory=dict[Admission, list[str]])
    counts: Counter[Admission] = field(default_factory=Counter[Admission])
    present: int = 0
    idle: int = 0
    waiting: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    untold: dict[str, Lease] = field(default_factory=dict[str, Lease])

    def admission(self, exporter: Exporter) -> Admission | None:
        """Return on which terms an exporter may be given, if it may."""
        demand = self.demand
        enabled = exporter.enabled or (demand.allow_disabled and demand.exporter_name is not None)
        if not enabled or not _asked_for(demand, exporter):
            return None
        found = self.admissions.to(exporter)
        return None if found is not None and found.spot and not self.spot_allowed else found

    def normal_terms(self) -> Admission | None:
        """Return the best terms that are not spot access."""
        return min(
            (one for one, many in self.counts.items() if many and not one.spot), default=None
        )

    def join(self, name: str, admission: Admission, standing: Standing) -> None:
        """Take in an exporter."""
        self.terms[name] = admission
        self.counts[admission] += 1
        self.present += standing.present
        self.idle += standing.idle
        if standing.usable:
            insort(self.tiers.setdefault(admission, []), name)

    def leave(self, name: str, standing: Standing) -> None:
        """Forget an exporter that had this standing."""
        admission = self.terms.pop(name)
        self.counts[admission] -= 1
        self.present -= standing.present
        self.idle -= standing.idle
        if standing.usable:
            tier = self.tiers[admission]
            del tier[bisect_left(tier, name)]
            if not tier:
                del self.tiers[admission]

    def before(self, sequence: int) -> int:
        """Return how many wait that came before."""
        return bisect_left(self.waiting, (sequence, ""))


def _asked_for(demand: Demand, exporter: Exporter) -> bool:
    if demand.exporter_name is None and not demand.selector:
        return False
    named = demand.exporter_name in (None, exporter.name)
    return named and admits(demand.selector, exporter.labels)


class Market:
    """The pools of one namespace; whoever changes the namespace says so here."""

    def __init__(self, situation: Situation, unassigned: Iterable[Lease]) -> None:
        """Begin with what there is; `situation` is that of now at any later time too."""
        self.situation = situation
        self.leases: dict[str, Lease] = {}
        self.spot_held: set[str] = set()
        self.cleaning: set[str] = set()
        self._pools: dict[PoolKey, Pool] = {}
        self._spare: dict[PoolKey, None] = {}
        self._key_of: dict[str, PoolKey] = {}
        self._later: dict[str, Lease] = {}
        self._standings: dict[str, Standing] = {}
        self._admissions: dict[str, dict[timedelta | None, Admissions]] = {}
        self._holders: dict[tuple[PoolKey, int], tuple[Lease, ...]] = {}
        self._related: dict[tuple[PoolKey, PoolKey], tuple[bool, bool]] = {}
        for exporter in situation.fleet.all():
            self.look_at(exporter.name)
        for lease in unassigned:
            self.add(lease)

    def __len__(self) -> int:
        """Return how many pools are kept."""
        return len(self._pools)

    def asking(self) -> list[Pool]:
        """Return the pools that somebody waits for."""
        return [pool for key, pool in self._pools.items() if key not in self._spare]

    def pool_of(self, lease: Lease) -> Pool | None:
        """Return the pool that a lease waits for, if it waits."""
        key = self._key_of.get(lease.name)
        return None if key is None or lease.name in self._later else self._pools[key]

    def promote(self, now: datetime) -> None:
        """Let those wait whose time to begin has come."""
        for lease in [one for one in self._later.values() if one.waiting(now)]:
            del self._later[lease.name]
            self._enqueue(lease)

    def add(self, lease: Lease) -> None:
        """Take in a lease that has no exporter."""
        self.leases[lease.name] = lease
        key = self._pool_key(lease)
        self._key_of[lease.name] = key
        if key not in self._pools:
            self._make(key, Demand.of(lease))
        self._later[lease.name] = lease
        if lease.begin_time is None:
            del self._later[lease.name]
            self._enqueue(lease)

    def discard(self, lease: Lease) -> None:
        """Forget a lease that had no exporter."""
        del self.leases[lease.name]
        key = self._key_of.pop(lease.name)
        if self._later.pop(lease.name, None) is not None:
            return
        pool = self._pools[key]
        del pool.waiting[pool.before(lease.sequence)]
        pool.untold.pop(lease.name, None)
        if not pool.waiting:
            self._spare[key] = None
            self._drop_spare()

    def look_at(self, name: str) -> None:
        """Take in that an exporter, or who has it, may have changed."""
        old, new = self._standings.get(name), self._standing(name)
        if old == new:
            return
        if new is None:
            del self._standings[name]
        else:
            self._standings[name] = new
        for names, is_one in (
            (self.cleaning, new is not None and new.cleaning),
            (self.spot_held, new is not None and new.spot),
        ):
            (names.add if is_one else names.discard)(name)
        moved = old is None or new is None or old.exporter != new.exporter
        if moved:
            self._related.clear()
            self._holders.clear()
        for pool in self._pools.values():
            self._revise(pool, name, moved=moved, old=old)

    def holder_changed(self, name: str) -> None:
        """Take in that the lease of an exporter may have changed."""
        self._holders.clear()
        self.look_at(name)

    def holders(self, pool: Pool, few: int) -> tuple[Lease, ...]:
        """Return the leases on what a pool could have, the first `few` to end."""
        key = self._key(pool), few
        found = self._holders.get(key)
        if found is None:
            held = self.situation.held
            names = held.keys() & pool.terms.keys()
            found = tuple(nsmallest(few, (held[name] for name in names), key=_end))
            self._holders[key] = found
        return found

    def client_changed(self, client: str) -> None:
        """Take in that a client has other labels."""
        self._admissions.pop(client, None)
        for lease in [one for one in self.leases.values() if one.client == client]:
            self.discard(lease)
            self.add(lease)

    def relation(self, pool: Pool, other: Pool) -> tuple[bool, bool]:
        """Return whether any of `other` may have, of what `pool` could have, something on better
        terms, and whether on the same.
        """
        keys = self._key(pool), self._key(other)
        found = self._related.get(keys)
        if found is None:
            found = self._related[keys] = _relation(pool, other)
        return found

    def _revise(self, pool: Pool, name: str, *, moved: bool, old: Standing | None) -> None:
        admission = pool.terms.get(name)
        if admission is not None and old is not None:
            pool.leave(name, old)
        exporter = self.situation.fleet.get(name)
        if moved:
            admission = None if exporter is None else pool.admission(exporter)
        if admission is not None:
            pool.join(name, admission, self._standings[name])

    def _standing(self, name: str) -> Standing | None:
        exporter = self.situation.fleet.get(name)
        if exporter is None:
            return None
        holder = self.situation.held.get(name)
        idle = exporter.present and holder is None
        return Standing(
            exporter=(exporter.labels, exporter.enabled),
            present=exporter.present,
            idle=idle,
            usable=idle and exporter.fresh,
            cleaning=idle and exporter.status in CLEANING,
            spot=holder is not None and holder.spot,
        )

    def _enqueue(self, lease: Lease) -> None:
        key = self._key_of[lease.name]
        pool = self._pools[key]
        insort(pool.waiting, (lease.sequence, lease.name))
        if condition_of(lease, PENDING) is None:
            pool.untold[lease.name] = lease
        self._spare.pop(key, None)

    def _pool_key(self, lease: Lease) -> PoolKey:
        known = self._admissions.setdefault(lease.client, {})
        if lease.duration not in known:
            if len(known) >= SPARE:
                known.clear()
            labels = self.situation.labels.get(lease.client, NO_LABELS)
            known[lease.duration] = Admissions.of(self.situation.policies, labels, lease.duration)
        return lease.selector, lease.exporter_name, lease.allow_disabled, known[lease.duration]

    def _key(self, pool: Pool) -> PoolKey:
        demand = pool.demand
        return demand.selector, demand.exporter_name, demand.allow_disabled, pool.admissions

    def _make(self, key: PoolKey, demand: Demand) -> None:
        pool = Pool(demand, key[-1], self.situation.spot)
        fleet = self.situation.fleet
        if demand.exporter_name is None:
            candidates = fleet.matching(demand.selector) if demand.selector else []
        else:
            found = fleet.get(demand.exporter_name)
            candidates = [] if found is None else [found]
        for exporter in sorted(candidates, key=lambda one: one.name):
            admission = pool.admission(exporter)
            if admission is not None:
                pool.join(exporter.name, admission, self._standings[exporter.name])
        self._pools[key] = pool
        self._spare[key] = None
        self._drop_spare(but=key)

    def _drop_spare(self, but: PoolKey | None = None) -> None:
        """Forget the pools that nobody waited for for longest, when they are too many."""
        later = {self._key_of[name] for name in self._later}
        for key in [*self._spare][: max(len(self._spare) - SPARE - len(later), 0)]:
            if key != but and key not in later:
                del self._spare[key]
                del self._pools[key]
                self._related.clear()


def _end(lease: Lease) -> tuple[bool, datetime, str]:
    ends = lease.expires_at
    return ends is None, ends or lease.created, lease.exporter or ""


def _relation(pool: Pool, other: Pool) -> tuple[bool, bool]:
    if pool is other:
        return False, True
    if pool.admissions.unrestricted:
        return False, not pool.terms.keys().isdisjoint(other.terms)
    better = same = False
    for name in pool.terms.keys() & other.terms.keys():
        better = better or other.terms[name] < pool.terms[name]
        same = same or other.terms[name] == pool.terms[name]
    return better, same
