"""Where a waiting lease stands, for the one who waits.

Rule: pure. In front of a lease is who waits for an exporter that it could have too, and would be
given that one first. The order is that of the scheduler. Why a lease waits follows from what there
is, so it is worked out for those who ask, and not written down at each change.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime

from .deciding import reason
from .lease_state import PENDING, READY, condition_of, pending
from .market import Market, Pool
from .objects import Ahead, Lease, Place
from .scheduling import MESSAGES

FEW = 10
"""How many leases an answer names; with all that wait it would become too long to send."""


def as_it_waits(lease: Lease, market: Market, now: datetime) -> Lease:
    """Return the lease with the reason for which it waits now, if it waits."""
    if not lease.waiting(now):
        return lease
    market.promote(now)
    pool = market.pool_of(lease)
    if pool is None:
        return lease
    why = reason(pool)
    return pending(lease, why, MESSAGES[why], now)


def place(lease: Lease, market: Market, now: datetime, few: int = FEW) -> Place:
    """Return where `lease` stands.

    Of those before it the nearest are named, up to `few`, and of the holders those who end first.
    """
    market.promote(now)
    pool = market.pool_of(lease)
    if pool is None or not lease.waiting(now):
        return _not_waiting(lease)
    told = condition_of(as_it_waits(lease, market, now), PENDING)
    before = [*_before(lease, pool, market)]
    nearest = sorted(
        one for other, many in before for one in other.waiting[max(many - few, 0) : many]
    )[-few:]
    return Place(
        position=sum(many for _, many in before) + 1,
        reason=told.reason if told else "",
        message=told.message if told else "",
        ahead=tuple(_ahead(market.leases[name]) for _, name in nearest),
        holders=tuple(
            Ahead(lease=one.name, client=one.client, exporter=one.exporter, until=one.expires_at)
            for one in market.holders(pool, few)
        ),
    )


def _before(lease: Lease, pool: Pool, market: Market) -> Iterator[tuple[Pool, int]]:
    """Yield the pools with leases that are before `lease`, and how many of each are."""
    for other in market.asking():
        better, same = market.relation(pool, other)
        if better:
            yield other, len(other.waiting)
        elif same:
            yield other, bisect_left(other.waiting, (lease.sequence, ""))


def _ahead(lease: Lease) -> Ahead:
    return Ahead(lease=lease.name, client=lease.client)


def _not_waiting(lease: Lease) -> Place:
    if lease.exporter is None and not lease.ended:
        return Place(position=0, reason="Scheduled", message="the lease begins later")
    told = condition_of(lease, READY) or next(iter(reversed(lease.conditions)), None)
    why, message = (told.reason, told.message) if told else ("", "")
    return Place(position=0, reason=why, message=message)
