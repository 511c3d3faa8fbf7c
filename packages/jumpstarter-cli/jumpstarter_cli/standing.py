"""How a lease stands, in sentences: what it waits for, or why it does not wait."""

from collections.abc import Iterator

from jumpstarter.client.records import Lease, LeaseAhead, Waiting
from jumpstarter.model.lease_progress import Standing


def standing(lease: Lease) -> list[str]:
    """Return how the lease stands, the most important first."""
    verdict = lease.verdict
    match verdict.standing:
        case Standing.GRANTED:
            return [f"lease {lease.name} has exporter {lease.exporter}"]
        case Standing.WAITING:
            return list(_waiting(lease))
        case _:
            return [verdict.text]


def place(lease: Lease) -> str:
    """Return in one line what the lease waits for."""
    waiting = lease.waiting
    if waiting is None:
        return _reason(lease)
    parts = [f"number {waiting.position} in the queue", _reason(lease)]
    if waiting.ahead:
        more = f" and {waiting.position - 2} more" if waiting.position > 2 else ""  # noqa: PLR2004 - one is named
        parts.append(f"behind {_lease(waiting.ahead[-1])}{more}")
    if waiting.holders:
        more = " and others" if len(waiting.holders) > 1 else ""
        parts.append(f"held by {_lease(waiting.holders[0])}{more}")
    return ": ".join(filter(None, (parts[0], "; ".join(filter(None, parts[1:])))))


def _waiting(lease: Lease) -> Iterator[str]:
    waiting = lease.waiting or Waiting(position=0)
    position = f", number {waiting.position} in the queue" if waiting.position else ""
    yield f"lease {lease.name} waits{position}: {_reason(lease)}"
    # A controller names only the nearest of those who are ahead.
    before = waiting.position - 1 - len(waiting.ahead)
    if before > 0:
        yield f"ahead: {before} more"
    for item in waiting.ahead:
        yield f"ahead: {_lease(item)}"
    for item in waiting.holders:
        yield f"held by: {_lease(item)}"


def _reason(lease: Lease) -> str:
    told = lease.waiting.message if lease.waiting is not None else ""
    if not (told or lease.verdict.text) and lease.begin_time is not None:
        return f"it begins at {lease.begin_time.astimezone():%Y-%m-%d %H:%M:%S}"
    return told or lease.verdict.text or "the controller has not said why"


def _lease(item: LeaseAhead) -> str:
    exporter = f" on {item.exporter}" if item.exporter else ""
    until = f" until {item.until.astimezone():%Y-%m-%d %H:%M:%S}" if item.until else ""
    return f"lease {item.name} of {item.client}{exporter}{until}"
