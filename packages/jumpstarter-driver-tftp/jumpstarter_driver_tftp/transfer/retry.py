"""When to send again, and when to give up.

Progress starts the count afresh, so a slow link may take as long as it likes; only silence ends a
transfer.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Retry:
    """The sends of one packet or window.

    Attributes:
        timeout: seconds to wait for an answer.
        tries: how often to send, the first time included.
        due: when the wait is over, or None while nothing is waited for.
    """

    timeout: float
    tries: int
    due: float | None = None
    _sends: int = 0

    def sent(self, now: float) -> None:
        """Something new is under way."""
        self._sends = 1
        self.due = now + self.timeout

    def extend(self, now: float) -> None:
        """Wait again without having made progress, and without using up a try."""
        self.due = now + self.timeout

    def stop(self) -> None:
        """Nothing is under way."""
        self.due = None

    def again(self, now: float) -> bool:
        """Tell whether to send once more; False when the tries are used up."""
        if self._sends >= self.tries:
            return False
        self._sends += 1
        self.due = now + self.timeout
        return True

    def is_due(self, now: float) -> bool:
        """Tell whether the wait is over."""
        return self.due is not None and now >= self.due
