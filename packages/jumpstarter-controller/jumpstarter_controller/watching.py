"""What those who wait are told: the state as it is, then each time that it is another one.

Rule: between two looks some states may pass unseen, but an exporter never sees one lease follow
another without being told in between that it has none: it begins a lease only when it has none.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

from .objects import ExporterLease, Lease
from .watch import Signal

T = TypeVar("T")


class Gone(Exception):  # noqa: N818 - it is no failure: there is nothing to see any more
    """What was looked at is not there any more."""


async def changes(signal: Signal, look: Callable[[], Awaitable[T]]) -> AsyncGenerator[T]:
    """Yield what `look` returns, at once and whenever it is something else; end when it is gone."""
    try:
        last = await look()
        yield last
        while True:
            await signal.wait()
            found = await look()
            if found != last:
                last = found
                yield found
    except Gone:
        return


async def apart(
    leases: AsyncIterator[ExporterLease | None],
) -> AsyncGenerator[ExporterLease | None]:
    """Yield `leases` with a None between two different ones."""
    last: ExporterLease | None = None
    async for lease in leases:
        if last is not None and lease is not None and last.lease_name != lease.lease_name:
            yield None
        yield lease
        last = lease


async def until_ended(states: AsyncIterator[Lease]) -> AsyncGenerator[Lease]:
    """Yield the states of a lease up to its end."""
    async for lease in states:
        yield lease
        if lease.ended:
            return
