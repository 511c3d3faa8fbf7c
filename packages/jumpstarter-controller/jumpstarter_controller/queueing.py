"""Where a waiting lease stands, for the one who waits.

Rule: pure. In front of a lease is who waits for an exporter that it could have too, and would be
given that one first. The order is that of the scheduler.
"""

from collections.abc import Iterable
from datetime import datetime

from .lease_state import PENDING, READY, condition_of
from .objects import Ahead, Lease, Place
from .policies import Admission
from .prospects import Demand, Refusal, Situation, options


def place(lease: Lease, waiting: Iterable[Lease], situation: Situation, now: datetime) -> Place:
    """Return where `lease` stands among `waiting`, which may contain it."""
    told = condition_of(lease, PENDING)
    if not lease.waiting(now):
        return _not_waiting(lease)
    reason, message = (told.reason, told.message) if told else ("", "")
    known: dict[Demand, dict[str, Admission]] = {}
    own = _terms(lease, situation, known)
    ahead = [
        one
        for one in sorted(waiting, key=lambda one: one.sequence)
        if one.waiting(now) and _before(one, lease, _terms(one, situation, known), own)
    ]
    holders = (situation.held[name] for name in sorted(own) if name in situation.held)
    return Place(
        position=len(ahead) + 1,
        reason=reason,
        message=message,
        ahead=tuple(Ahead(lease=one.name, client=one.client) for one in ahead),
        holders=tuple(
            Ahead(lease=one.name, client=one.client, exporter=one.exporter, until=one.expires_at)
            for one in holders
        ),
    )


def _not_waiting(lease: Lease) -> Place:
    if lease.exporter is None and not lease.ended:
        return Place(position=0, reason="Scheduled", message="the lease begins later")
    told = condition_of(lease, READY) or next(iter(reversed(lease.conditions)), None)
    reason, message = (told.reason, told.message) if told else ("", "")
    return Place(position=0, reason=reason, message=message)


def _terms(
    lease: Lease, situation: Situation, known: dict[Demand, dict[str, Admission]]
) -> dict[str, Admission]:
    """Return the exporters that a lease could have, by name, with its terms."""
    demand = Demand.of(lease)
    if demand not in known:
        found = options(demand, situation)
        some = [] if isinstance(found, Refusal) else found
        known[demand] = {one.exporter.name: one.admission for one in some}
    return known[demand]


def _before(
    one: Lease, other: Lease, terms: dict[str, Admission], others: dict[str, Admission]
) -> bool:
    return one.name != other.name and any(
        (terms[name], one.sequence) < (others[name], other.sequence)
        for name in terms.keys() & others.keys()
    )
