"""From a wish to a lease that is granted: ask for one, then wait until its controller says so.

The name of a new lease is chosen here. So a lease whose confirmation was lost on the way is found
again, and whoever stops waiting can release it.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from jumpstarter.model.errors import (
    ConnectionError,  # noqa: A004 - its public name
    LeaseEndedError,
    LeaseError,
)
from jumpstarter.model.lease_progress import Patience, Standing, judge_failure
from jumpstarter.model.selectors import selector_contains
from jumpstarter.rpc.retry import Backoff

from .following import LeaseFollower
from .grpc import ClientService, code_of, details_of
from .records import Lease
from .releasing import release_lease

FIRST_POLL_S: Final = 0.05
LONGEST_POLL_S: Final = 5.0

CREATE_TRIES: Final = 2
"""More tries to ask for a lease: a controller that is really away is to be told of at once."""

Tell = Callable[[str], None]
"""Takes a sentence for the user on what is waited for."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What lease is wanted."""

    selector: str | None
    exporter_name: str | None
    duration: timedelta
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


def lease_name(milliseconds: int, chance: int) -> str:
    """Return a name for a new lease: a UUID of version 7, so that names sort by their time."""
    number = (milliseconds & (1 << 48) - 1) << 80 | chance & (1 << 80) - 1
    number = number & ~(0xF000 << 64) | 0x7000 << 64
    number = number & ~(0xC000 << 48) | 0x8000 << 48
    return str(UUID(int=number))


def new_lease_name() -> str:
    """Return a name that no lease has yet."""
    return lease_name(time.time_ns() // 1_000_000, secrets.randbits(80))


async def create_lease(service: ClientService, wish: Wish, name: str) -> Lease:
    """Ask for the lease and return it, granted or not; raises ConnectionError."""
    backoff = Backoff(first_s=0.3, longest_s=2.0, tries=CREATE_TRIES)
    tried = False
    while True:
        try:
            return await service.CreateLease(
                selector=wish.selector,
                exporter_name=wish.exporter_name,
                duration=wish.duration,
                tags=wish.tags,
                lease_id=name,
            )
        except ConnectionError as error:
            away = judge_failure(code_of(error).name, details_of(error)) is Patience.WAIT
            if not away and tried:
                # An earlier try may have worked although its answer was lost.
                return await _existing(service, name, error)
            if not away or not await backoff.wait():
                if away:
                    await release_lease(service, name, tries=1)
                raise
        tried = True


async def _existing(service: ClientService, name: str, refusal: ConnectionError) -> Lease:
    try:
        return await service.GetLease(name=name)
    except ConnectionError:
        raise refusal from refusal.__cause__


async def verify_lease(
    service: ClientService, wish: Wish, name: str, client_name: str | None
) -> Lease | None:
    """Return the lease `name` when it can be used; None when it is one for another selector.

    Raises LeaseEndedError or LeaseError when it is over or another client's, ConnectionError when
    the controller does not know it.
    """
    lease = await service.GetLease(name=name)
    if lease.effective_end_time is not None:
        message = f"lease {name} has ended; take another one"
        raise LeaseEndedError(message)
    if client_name and lease.client != client_name:
        message = f"lease {name} is held by {lease.client}, not by {client_name}"
        raise LeaseError(message)
    if wish.selector and not selector_contains(lease.requirements, wish.selector):
        return None
    return lease


async def wait_until_granted(service: ClientService, lease: Lease, tell: Tell) -> Lease | None:
    """Return the lease once it is granted; None when its controller wants to be asked anew.

    Raises LeaseError when it never will be, ConnectionError when the controller will not say.
    """
    if lease.verdict.standing is not Standing.WAITING:
        return _outcome(lease)
    tell(waiting_text(lease))
    follower = LeaseFollower(service, lease.name, FIRST_POLL_S, LONGEST_POLL_S)
    async with aclosing(follower.states()) as states:
        async for state in states:
            if state.verdict.standing is not Standing.WAITING:
                return _outcome(state)
            tell(waiting_text(state))
    message = f"lease {lease.name} has ended"
    raise LeaseEndedError(message)


def _outcome(lease: Lease) -> Lease | None:
    verdict = lease.verdict
    match verdict.standing:
        case Standing.GRANTED:
            return lease
        case Standing.AGAIN:
            return None
        case Standing.ENDED:
            raise LeaseEndedError(verdict.text)
        case _:
            raise LeaseError(verdict.text)


def waiting_text(lease: Lease) -> str:
    """Return what to tell the user who waits for `lease`."""
    if lease.waiting is None:
        return lease.verdict.text or "waiting for the lease"
    place = f"number {lease.waiting.position} in the queue"
    return f"{place}: {lease.waiting.message}" if lease.waiting.message else place
