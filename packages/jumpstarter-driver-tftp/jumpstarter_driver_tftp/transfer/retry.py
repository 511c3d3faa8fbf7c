"""When to send again, and when to give up: RFC 6298, bounded for networks that boards boot from.

* A timeout that the client gave holds exactly. Otherwise the wait follows the measured round trip,
  doubles with each silence, and is never longer than the timeout of the terms.
* Karn's rule: callers measure only what was sent once, and a wait that was doubled holds until
  the next measurement.
* A far side that has never answered gets `tries` packets and no more: it may never have asked.
  One that has answered may stall, while it writes to flash, say; then only a wait of the full
  timeout counts as a try. So both end, the second after some more packets.
* Progress starts the count afresh, so a slow link may take as long as it likes.
"""

MIN_WAIT_SECONDS = 0.05
"""No wait is shorter, since a scheduler or a boot loader's poll is easily as slow as this."""

FIRST_WAIT_SECONDS = 1.0
"""How long to wait before the round trip is known."""


class Retry:
    """The timer of one transfer.

    Attributes:
        due: when the wait is over, or None while nothing is waited for.
        rtt: smoothed round trip in seconds, or None before the first was measured.
    """

    __slots__ = ("_exact", "_timeout", "_tries", "_vain", "_variance", "_wait", "due", "rtt")

    def __init__(self, timeout: float, tries: int, *, exact: bool = False) -> None:
        """Prepare to wait.

        Args:
            timeout: seconds to wait for an answer: exactly or at most.
            tries: how many waits in vain end the transfer.
            exact: whether to keep to `timeout` whatever the round trip is.
        """
        self.due: float | None = None
        self.rtt: float | None = None
        self._timeout = timeout
        self._tries = tries
        self._exact = exact
        self._wait = timeout if exact else min(FIRST_WAIT_SECONDS, timeout)
        self._variance = 0.0
        self._vain = 0

    def agree(self, timeout: float, *, exact: bool) -> None:
        """Keep to another timeout from now on."""
        self._timeout = timeout
        self._exact = exact
        self._wait = timeout if exact else min(self._wait, timeout)

    def sent(self, now: float) -> None:
        """Something new is under way."""
        self._vain = 0
        self.due = now + self._wait

    def stop(self) -> None:
        """Nothing is under way."""
        self.due = None

    def measure(self, seconds: float) -> None:
        """Take the time from a packet that was sent once to its answer."""
        rtt = self.rtt
        if rtt is None:
            self.rtt = rtt = seconds
            self._variance = seconds / 2
        else:
            self._variance += (abs(rtt - seconds) - self._variance) / 4
            self.rtt = rtt = rtt + (seconds - rtt) / 8
        if not self._exact:
            wait = rtt + 4 * self._variance
            self._wait = min(max(wait, MIN_WAIT_SECONDS), self._timeout)

    def is_due(self, now: float) -> bool:
        """Tell whether the wait is over."""
        return self.due is not None and now >= self.due

    def again(self, now: float, *, heard: bool) -> bool:
        """Tell whether to send once more; False when the tries are used up.

        `heard` tells whether the far side has ever answered.
        """
        if not heard or self._wait >= self._timeout:
            self._vain += 1
            if self._vain >= self._tries:
                return False
        if not self._exact:
            self._wait = min(2 * self._wait, self._timeout)
        self.due = now + self._wait
        return True
