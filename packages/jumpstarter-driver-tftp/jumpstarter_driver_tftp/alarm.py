"""The timer of one transfer.

At most one timer of the loop is armed, and it is only moved when it fires or would fire too late:
most deadlines are outrun by the next packet.
"""

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls a function at a deadline, or some time before it; whoever is called looks again."""

    def __init__(self, ring: Callable[[], None]) -> None:
        """Prepare to call `ring`."""
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def set(self, deadline: float | None) -> None:
        """See to it that `ring` is called no later than `deadline`."""
        if deadline is None:
            return
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._fire)

    def cancel(self) -> None:
        """Call nobody."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        self._ring()
