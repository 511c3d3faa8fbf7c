"""The time, as something that is handed in.

Rule: nothing below the runtime asks the operating system for the time. What waits for a moment
waits at its clock, so that a test moves the time instead of waiting for it.
"""

from datetime import UTC, datetime, timedelta
from typing import Protocol

import anyio

LONGEST_WAIT = timedelta(seconds=10)
"""How late a change of the system's time may be noticed."""


class Clock(Protocol):
    """Tells the time, and waits for it."""

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        ...

    async def wait(self, event: anyio.Event, until: datetime | None) -> None:
        """Return once `event` is set or, at the latest, at the time `until`; it may be early."""
        ...


class SystemClock:
    """The clock of the operating system."""

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        return datetime.now(UTC)

    async def wait(self, event: anyio.Event, until: datetime | None) -> None:
        """Return once `event` is set or, at the latest, at the time `until`; it may be early."""
        rest = LONGEST_WAIT if until is None else min(until - self.now(), LONGEST_WAIT)
        with anyio.move_on_after(rest.total_seconds()):
            await event.wait()


class SteppedClock:
    """A clock that stands still until it is moved; for tests."""

    def __init__(self, now: datetime) -> None:
        """Begin at `now`."""
        self._now = now
        self._moved = anyio.Event()

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        return self._now

    def advance(self, step: timedelta) -> None:
        """Move the time, and let those who wait look at it."""
        self._now += step
        self._moved.set()
        self._moved = anyio.Event()

    async def wait(self, event: anyio.Event, until: datetime | None) -> None:
        """Return once `event` is set or, at the latest, at the time `until`; it may be early."""
        if until is not None and until <= self._now:
            return
        moved = self._moved
        async with anyio.create_task_group() as tasks:

            async def first(one: anyio.Event) -> None:
                await one.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(first, event)
            tasks.start_soon(first, moved)
