"""Who gets what: the rules by which it is decided which lease has which exporter.

This is the model, which looks at everything; `deciding` comes to the same by what `market` keeps.

Rule: pure. Whoever is admitted normally is before spot access, then the higher priority is first,
then whoever came first; the same goes for what one lease chooses from, with the name at the end.
A lease by spot access ends when somebody else who is admitted normally has no other way.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jumpstarter.model.status import ExporterStatus

from .lease_state import PENDING
from .objects import Lease
from .policies import Admission
from .prospects import Demand, Option, Refusal, Situation, options

CLEANING = frozenset(
    {
        ExporterStatus.BEFORE_LEASE_HOOK,
        ExporterStatus.LEASE_READY,
        ExporterStatus.AFTER_LEASE_HOOK,
    }
)
"""Statuses that a free exporter leaves by itself."""

OFFLINE = "Offline"
NOT_AVAILABLE = "NotAvailable"
NOT_READY = "NotReady"

MESSAGES = {
    OFFLINE: "matching exporters exist, but none of them is online",
    NOT_AVAILABLE: "all matching exporters that are online are leased; the lease waits its turn",
    NOT_READY: "a matching exporter is free, but is not ready for a new lease yet",
}


@dataclass(frozen=True, slots=True)
class Assignment:
    """`lease` gets the exporter; `evicts` must end first."""

    lease: Lease
    option: Option
    evicts: Lease | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`lease` is not granted now, or ever; `evicts` ends to make room for it."""

    lease: Lease
    kind: str
    reason: str
    message: str
    evicts: Lease | None = None


Decision = Assignment | Verdict

Entry = tuple[Admission, int, int]
"""What a heap is in order of: the terms, the lease's place in the order of creation, the group."""


@dataclass(slots=True)
class _Group:
    """Waiting leases that ask for the same, first come first, and what they may have.

    Those before `next` are served. `tiers` are the options that can be given at once.
    """

    waiting: list[Lease]
    options: list[Option]
    next: int = 0
    tiers: dict[Admission, list[Option]] = field(default_factory=dict[Admission, list[Option]])

    @property
    def head(self) -> Lease | None:
        return self.waiting[self.next] if self.next < len(self.waiting) else None

    @property
    def rest(self) -> list[Lease]:
        return self.waiting[self.next :]


def schedule(waiting: Iterable[Lease], situation: Situation, now: datetime) -> list[Decision]:
    """Return one decision for each of `waiting`.

    For the right outcome, `waiting` are at least all the leases that could have what became free.
    """
    groups, decisions = _grouped(waiting, situation)
    taken: set[str] = set()
    decisions += _grants(groups, situation, taken)
    room = _room(groups, situation, taken, now)
    for group in groups:
        if not group.rest:
            continue
        reason = _reason(group, situation, taken)
        decisions += (_waits(lease, room.get(lease.name), reason) for lease in group.rest)
    return decisions


def _waits(lease: Lease, room: Assignment | None, reason: str) -> Decision:
    if room is None:
        return Verdict(lease, PENDING, reason, MESSAGES[reason])
    if room.option.exporter.fresh:
        return room
    return Verdict(lease, PENDING, NOT_READY, MESSAGES[NOT_READY], room.evicts)


def _grouped(waiting: Iterable[Lease], situation: Situation) -> tuple[list[_Group], list[Decision]]:
    leases: dict[Demand, list[Lease]] = {}
    for lease in sorted(waiting, key=lambda one: one.sequence):
        leases.setdefault(Demand.of(lease), []).append(lease)
    groups: list[_Group] = []
    refusals: list[Decision] = []
    for demand, asking in leases.items():
        found = options(demand, situation)
        if isinstance(found, Refusal):
            refusals += (Verdict(one, found.kind, found.reason, found.message) for one in asking)
        else:
            groups.append(_Group(asking, found))
    return groups, refusals


def _reason(group: _Group, situation: Situation, taken: set[str]) -> str:
    present = [one.exporter.name for one in group.options if one.exporter.present]
    if not present:
        return OFFLINE
    free = any(name not in situation.held and name not in taken for name in present)
    return NOT_READY if free else NOT_AVAILABLE


def _grants(
    groups: Sequence[_Group], situation: Situation, taken: set[str]
) -> Iterator[Assignment]:
    """Give each free exporter to the best who wants it, and note it in `taken`."""
    heap = _entries(groups, situation)
    while heap:
        admission, sequence, number = heapq.heappop(heap)
        group = groups[number]
        tier = group.tiers[admission]
        while tier and tier[-1].exporter.name in taken:
            tier.pop()
        if tier and group.head is not None and group.head.sequence == sequence:
            taken.add(tier[-1].exporter.name)
            yield Assignment(group.head, tier.pop())
            group.next += 1
        if tier and group.head is not None:
            heapq.heappush(heap, (admission, group.head.sequence, number))


def _entries(groups: Sequence[_Group], situation: Situation) -> list[Entry]:
    """Return a heap of the first lease of each group, once for each of the terms it could have."""
    heap: list[Entry] = []
    most = sum(len(group.waiting) for group in groups)
    for number, group in enumerate(groups):
        for option in group.options:
            if _usable(option, situation):
                group.tiers.setdefault(option.admission, []).append(option)
        for admission, tier in group.tiers.items():
            best = heapq.nsmallest(most, tier, key=lambda option: option.exporter.name)
            group.tiers[admission] = best[::-1]
            heap.append((admission, group.waiting[0].sequence, number))
    heapq.heapify(heap)
    return heap


def _usable(option: Option, situation: Situation) -> bool:
    exporter = option.exporter
    return exporter.present and exporter.fresh and exporter.name not in situation.held


def _room(
    groups: Sequence[_Group], situation: Situation, taken: set[str], now: datetime
) -> dict[str, Assignment]:
    """Return whom to evict, for whom, by the name of the lease that needs the exporter.

    A lease waits for an exporter that is about to be ready rather than evict anybody; but one such
    exporter does for one lease only.
    """
    wanting: list[tuple[Admission, int, Lease, _Group]] = []
    for group in groups:
        normal = [one.admission for one in group.options if not one.admission.spot]
        if normal:
            wanting += ((min(normal), one.sequence, one, group) for one in group.rest)
    wanting.sort(key=lambda item: item[:2])
    spoken_for = set(taken)
    room: dict[str, Assignment] = {}
    for _, _, lease, group in wanting:
        ends = lease.expires_at
        if ends is not None and ends <= now:
            continue
        found = _next_place(group, situation, spoken_for)
        if found is None:
            continue
        spoken_for.add(found.exporter.name)
        if (victim := situation.held.get(found.exporter.name)) is not None:
            room[lease.name] = Assignment(lease, found, victim)
    return room


def _next_place(group: _Group, situation: Situation, spoken_for: set[str]) -> Option | None:
    """Return an exporter that will be ready soon, else one that somebody must leave for it."""
    victims: list[tuple[int, int, str, Option]] = []
    for option in sorted(group.options, key=lambda one: one.exporter.name):
        exporter = option.exporter
        if option.admission.spot or not exporter.present or exporter.name in spoken_for:
            continue
        holder = situation.held.get(exporter.name)
        if holder is None and exporter.status in CLEANING:
            return option
        if holder is not None and holder.spot:
            victims.append((holder.priority, -holder.sequence, exporter.name, option))
    return min(victims, key=lambda item: item[:3])[3] if victims else None
