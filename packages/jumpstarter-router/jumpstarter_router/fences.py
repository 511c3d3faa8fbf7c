"""What has ended: of each lease, the number from which on its streams are still wanted."""

from dataclasses import dataclass, field

from .claims import LONGEST, SKEW

MEMORY = LONGEST + SKEW
"""Seconds after which no token is left that an entry could refuse."""


@dataclass(slots=True)
class Fences:
    """Remembers what was refused for as long as a token for it can still be good."""

    _below: dict[str, int] = field(default_factory=dict[str, int])
    _since: dict[str, float] = field(default_factory=dict[str, float])

    def raise_to(self, lease: str, below: int, now: float) -> None:
        """Refuse the streams of `lease` whose number is smaller than `below`; never lowers it."""
        self._forget(now)
        self._below[lease] = max(below, self._below.get(lease, 0))
        # The oldest stays first.
        self._since.pop(lease, None)
        self._since[lease] = now

    def admits(self, lease: str, fence: int) -> bool:
        """Return whether a stream of `lease` with that number is still wanted."""
        return fence >= self._below.get(lease, 0)

    def __len__(self) -> int:
        """Return how many leases are remembered."""
        return len(self._below)

    def _forget(self, now: float) -> None:
        while self._since:
            lease, since = next(iter(self._since.items()))
            if now - since <= MEMORY:
                return
            del self._since[lease], self._below[lease]
