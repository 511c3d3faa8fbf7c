"""The one way to try again: waits that grow, up to a bound, with some chance in them."""

import random
from dataclasses import dataclass, field

import anyio


@dataclass
class Backoff:
    """Waits between tries: `first_s` seconds, then twice as long each time up to `longest_s`.

    Each wait is shortened by chance by up to a quarter, so that many clients do not return at
    once. `tries` bounds the number of waits since the last `reset`; None is for ever.
    """

    first_s: float
    longest_s: float
    tries: int | None = None
    _count: int = field(default=0, init=False)

    def reset(self) -> None:
        """Begin anew: the last try worked."""
        self._count = 0

    def next_delay(self, chance: float) -> float | None:
        """Return the seconds to wait now, or None when all tries are used; `chance` is in 0..1."""
        if self.tries is not None and self._count >= self.tries:
            return None
        # 2**63 would overflow a sleep long before anybody waits for it.
        delay = min(self.first_s * 2.0 ** min(self._count, 62), self.longest_s)
        self._count += 1
        return delay * (1 - chance / 4)

    async def wait(self) -> bool:
        """Wait before the next try; return False at once when all tries are used."""
        delay = self.next_delay(random.random())
        if delay is None:
            return False
        # What is waited for is a far side that nobody tells us about.
        await anyio.sleep(delay)
        return True
