"""The timer of one transfer.

At most one timer of the loop is armed, and it is only moved when it fires or would fire too late:
most deadlines are outrun by the next packet. The first is armed for early on: deadlines come nearer
once the round trip is known, and most transfers are over by then.
"""

import asyncio
from collections.abc import Callable

from jumpstarter_driver_tftp.transfer.retry import MIN_WAIT_SECONDS


class Alarm:
    """Calls a function at a deadline, or some time before it; whoever is called looks again."""

    def __init__(self, ring: Callable[[], None]) -> None:
        """Prepare to call `ring`."""
        self._ring: Callable[[], None] | None = ring
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0  # when the timer fires, while there is one
        self._rang = False

    def set(self, deadline: float | None) -> None:
        """See to it that `ring` is called no later than `deadline`."""
        if deadline is None:
            return
        if self._timer is not None:
            if self._due <= deadline:
                return
            self._timer.cancel()
        self._due = deadline
        if not self._rang:
            self._due = min(deadline, self._loop.time() + MIN_WAIT_SECONDS)
        self._timer = self._loop.call_at(self._due, self._fire)

    def cancel(self) -> None:
        """Call nobody any more, and know nobody."""
        self._ring = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        self._rang = True
        if self._ring is not None:
            self._ring()
