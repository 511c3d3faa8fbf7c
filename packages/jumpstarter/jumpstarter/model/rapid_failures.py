"""Failures that follow each other: when one who keeps failing must give up."""

from dataclasses import dataclass, field


@dataclass
class RapidFailures:
    """Counts failures in a row, each of which came within `window` seconds of the one before it.

    Giving up is due when there are `limit` of them; a `limit` of 0 means never.
    """

    limit: int = 5
    window: float = 60
    _count: int = field(default=0, init=False)
    _last: float = field(default=0, init=False)

    def failed(self, now: float) -> bool:
        """Count a failure at the time `now`; return whether to give up."""
        is_rapid = self._count > 0 and now - self._last <= self.window
        self._count = self._count + 1 if is_rapid else 1
        self._last = now
        return 0 < self.limit <= self._count

    def succeeded(self) -> None:
        """Begin anew."""
        self._count = 0
