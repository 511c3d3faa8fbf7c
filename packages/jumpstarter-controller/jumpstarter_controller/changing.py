"""What an update makes of the times of a lease.

Rule: pure. A change says only what is to change; what follows from it is worked out, what it
contradicts is refused, and the result keeps the rules of a new lease. Of begin, duration and end,
an end that was asked for stands: then a new duration alone contradicts it.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from .errors import WrongState
from .objects import UNCHANGED, Lease, LeaseChange, Unchanged
from .validation import Times, complete

T = TypeVar("T")


def changes_times(change: LeaseChange) -> bool:
    """Return whether the change is about times at all."""
    times = change.duration, change.begin_time, change.end_time
    return any(time is not UNCHANGED for time in times)


def with_times(lease: Lease, change: LeaseChange) -> Lease:
    """Return the lease with the new times."""
    begin = _choose(change.begin_time, lease.begin_time)
    end = _choose(change.end_time, lease.end_time)
    duration = _choose(change.duration, _kept_duration(lease, change))
    if lease.exporter is not None and begin != lease.begin_time:
        raise WrongState("the lease has begun: its begin cannot be changed any more")
    if lease.exporter is not None and begin is None and end is not None:
        return _until(lease, duration, end)
    times = complete(Times(duration=duration, begin=begin, end=end))
    return replace(lease, duration=times.duration, begin_time=times.begin, end_time=times.end)


def _choose(new: T | Unchanged | None, old: T | None) -> T | None:
    return old if isinstance(new, Unchanged) else new


def _kept_duration(lease: Lease, change: LeaseChange) -> timedelta | None:
    """Return the duration that stays, or None where it follows from the new begin or end."""
    begin = _choose(change.begin_time, lease.begin_time)
    end = _choose(change.end_time, lease.end_time)
    moved = (begin, end) != (lease.begin_time, lease.end_time)
    began = begin is not None or lease.exporter is not None
    return None if moved and began and end is not None else lease.duration


def _until(lease: Lease, duration: timedelta | None, end: datetime) -> Lease:
    """Return a lease that began when it was granted, with an end."""
    begin = lease.effective_begin
    times = complete(Times(duration=duration, begin=begin, end=end))
    return replace(lease, duration=times.duration, end_time=end)
