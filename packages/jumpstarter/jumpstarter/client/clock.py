"""The time that a lease's monitor lives by, so that a test can have a time of its own."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import anyio


class Clock(Protocol):
    """Seconds that only go forward, the date, and waiting."""

    def now(self) -> float:
        """Return the seconds since some moment."""
        ...

    def date(self) -> datetime:
        """Return the date and time, with its zone."""
        ...

    async def wait(self, event: anyio.Event, until: float | None) -> None:
        """Return when `event` is set, or at `until`, whichever comes first."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The time of this machine."""

    def now(self) -> float:
        """Return the seconds since the machine started."""
        return time.monotonic()

    def date(self) -> datetime:
        """Return the present date and time."""
        return datetime.now(UTC)

    async def wait(self, event: anyio.Event, until: float | None) -> None:
        """Wait, in an event loop."""
        with anyio.move_on_after(None if until is None else until - self.now()):
            await event.wait()
