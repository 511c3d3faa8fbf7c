"""What happens to a lease: it waits, is granted, and ends, and its conditions say so.

Rule: pure. Each condition is there at most once and is updated in place; only Ready ever becomes
False, and Ready is the last one, because shipped clients look at the last only.
"""

from dataclasses import replace
from datetime import datetime

from .objects import Condition, Exporter, Lease
from .policies import Admission

READY = "Ready"
PENDING = "Pending"
UNSATISFIABLE = "Unsatisfiable"
INVALID = "Invalid"

RELEASED = "Released"
RUN_OUT = "Expired"
EVICTED = "Evicted"

LONGEST_MESSAGE = 4096


def with_condition(lease: Lease, condition: Condition) -> Lease:
    """Return the lease with this condition; the time of transition is kept if it already was so."""
    kept: list[Condition] = []
    for one in lease.conditions:
        if one.type != condition.type:
            kept.append(one)
        elif one.status == condition.status:
            condition = replace(condition, last_transition=one.last_transition)
    merged = [*kept, condition] if condition.type == READY else _in_place(lease, condition)
    return replace(lease, conditions=tuple(merged))


def _in_place(lease: Lease, condition: Condition) -> list[Condition]:
    types = [one.type for one in lease.conditions]
    merged = list(lease.conditions)
    if condition.type in types:
        merged[types.index(condition.type)] = condition
    elif READY in types:
        merged.insert(types.index(READY), condition)
    else:
        merged.append(condition)
    return merged


def condition_of(lease: Lease, kind: str) -> Condition | None:
    """Return the condition of this type, if there is one."""
    return next((one for one in lease.conditions if one.type == kind), None)


def pending(lease: Lease, reason: str, message: str, now: datetime) -> Lease:
    """Return the lease as one that waits, for this reason."""
    present = condition_of(lease, PENDING)
    if present is not None and (present.reason, present.message) == (reason, message):
        return lease
    return with_condition(lease, _condition(PENDING, reason, message, now))


def refused(lease: Lease, kind: str, reason: str, message: str, now: datetime) -> Lease:
    """Return the lease as one that can never be granted: it has ended."""
    told = with_condition(lease, _condition(kind, reason, message[:LONGEST_MESSAGE], now))
    return replace(told, effective_end=now)


def granted(lease: Lease, exporter: Exporter, admission: Admission, now: datetime) -> Lease:
    """Return the lease with `exporter`, whose fence counts this grant already."""
    message = f"exporter {exporter.name} is leased"
    ready = with_condition(lease, _condition(READY, READY, message, now))
    return replace(
        ready,
        exporter=exporter.name,
        exporter_uid=exporter.uid,
        effective_begin=now,
        priority=admission.priority,
        spot=admission.spot,
        fence=exporter.fence,
    )


def released(lease: Lease, now: datetime, message: str = "the lease was released") -> Lease:
    """Return the lease, given back before its time."""
    return replace(_over(lease, RELEASED, message, now), released=True)


def run_out(lease: Lease, now: datetime) -> Lease:
    """Return the lease at the end of its time."""
    return _over(lease, RUN_OUT, "the time of the lease is over", now)


def evicted(lease: Lease, client: str, now: datetime) -> Lease:
    """Return a lease by spot access that `client`, who has more than that, takes the place of."""
    message = f"released: the lease was by spot access, and client {client} needs the exporter"
    return _over(lease, EVICTED, message, now)


def _over(lease: Lease, reason: str, message: str, now: datetime) -> Lease:
    ready = Condition(type=READY, status=False, reason=reason, message=message, last_transition=now)
    return replace(with_condition(lease, ready), effective_end=now)


def _condition(kind: str, reason: str, message: str, now: datetime) -> Condition:
    return Condition(type=kind, status=True, reason=reason, message=message, last_transition=now)
