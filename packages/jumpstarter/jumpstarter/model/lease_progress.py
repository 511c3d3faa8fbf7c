"""What a client concludes from what it is told of its lease: have it, wait, give up, warn.

Only values come in and go out; when to ask, and whom, is decided elsewhere. The words that are
compared here are those of the protocol: shipped controllers have no other way to say these things.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from jumpstarter.model.conditions import (
    ConditionFields,
    condition_message,
    condition_present_and_equal,
    condition_true,
)

TOKEN_RAN_OUT: Final = "token is expired"  # noqa: S105 - the controllers' words, not a secret


class Standing(Enum):
    """How far a lease is."""

    GRANTED = auto()
    WAITING = auto()
    AGAIN = auto()
    """Its controller gave it up and wants to be asked anew."""
    REFUSED = auto()
    """It will never have an exporter."""
    ENDED = auto()
    """It is over."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a lease is, and what to tell its user about that."""

    standing: Standing
    text: str = ""


def judge_lease(conditions: Iterable[ConditionFields], *, ended: bool = False) -> Verdict:
    """Return how far the lease with these conditions is; `ended` when it has an end already."""
    given = tuple(conditions)
    if condition_true(given, "Ready") and not ended:
        return Verdict(Standing.GRANTED)
    for kind, status, reason, standing, text in _REFUSALS:
        if condition_present_and_equal(given, kind, status, reason):
            return Verdict(standing, _with_message(text, given, kind))
    if ended:
        return Verdict(Standing.ENDED, "the lease has ended")
    return Verdict(Standing.WAITING, condition_message(given, "Pending") or "")


# The first row that holds decides; a row without a reason holds for all.
_REFUSALS: Final[tuple[tuple[str, str, str | None, Standing, str], ...]] = (
    (
        "Unsatisfiable",
        "True",
        "NoExporter",
        Standing.AGAIN,
        "the lease cannot be satisfied",
    ),
    ("Unsatisfiable", "True", None, Standing.REFUSED, "the lease cannot be satisfied"),
    ("Invalid", "True", None, Standing.REFUSED, "the lease is invalid"),
    ("Pending", "False", None, Standing.REFUSED, "the lease is not pending any more"),
    ("Ready", "False", "Released", Standing.ENDED, "the lease was released"),
    ("Ready", "False", "Expired", Standing.ENDED, "the lease has run out"),
    ("Ready", "False", None, Standing.REFUSED, "the lease is not ready"),
)


def _with_message(text: str, conditions: tuple[ConditionFields, ...], kind: str) -> str:
    message = condition_message(conditions, kind)
    return f"{text}: {message}" if message and message != text else text


class Patience(Enum):
    """What to do after a controller failed to answer a question about a lease."""

    WAIT = auto()
    """It is away: ask again for as long as there is time."""
    TRY = auto()
    """It may be its mistake of the moment: ask again a few times."""
    STOP = auto()
    """It has understood the question and will not answer another way."""


_AWAY = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED"})
_SAID_NO = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_ARGUMENT", "NOT_FOUND"})


def judge_failure(code: str, details: str) -> Patience:
    """Return what to do after the status named `code`."""
    if code in _AWAY:
        return Patience.WAIT
    if code in _SAID_NO or TOKEN_RAN_OUT in details:
        return Patience.STOP
    return Patience.TRY


class Dialled(Enum):
    """What a controller's refusal to connect a client says about the lease."""

    AGAIN = auto()
    """The exporter is about to be there."""
    TRANSFERRED = auto()
    """The lease is another client's."""
    LOST = auto()
    """There is nothing to wait for."""


def judge_dial(code: str, details: str) -> Dialled:
    """Return what the status of a Dial says."""
    if code == "UNAVAILABLE" or (code == "FAILED_PRECONDITION" and "not ready" in details):
        return Dialled.AGAIN
    if "permission denied" in details:
        return Dialled.TRANSFERRED
    return Dialled.LOST


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTimes:
    """The times of a lease, as its controller tells them."""

    duration: timedelta | None
    begin: datetime | None = None
    """The requested begin."""
    end: datetime | None = None
    """The requested end."""
    effective_begin: datetime | None = None
    effective_duration: timedelta | None = None
    """How long it has lasted, by the controller's clock when it answered."""

    def expires(self) -> datetime | None:
        """Return the instant at which it runs out; None while that is open."""
        begun = self.begin or self.effective_begin
        if self.end is not None or begun is None or self.duration is None:
            return self.end
        return begun + self.duration

    def remaining(self, now: datetime) -> timedelta | None:
        """Return how long it goes on; None while that is open.

        By the controller's own clock where it told the time, so that ours need not be right; else
        by `now`.
        """
        end = self.expires()
        if end is None:
            return None
        if self.effective_begin is not None and self.effective_duration is not None:
            now = self.effective_begin + self.effective_duration
        return end - now


class Due(Enum):
    """What a countdown has come to."""

    WARN = auto()
    END = auto()


@dataclass(slots=True)
class Countdown:
    """Says once, `threshold` seconds before the end, that it is near, and when it has come.

    All times are seconds on one clock that only goes forward. An extension begins it anew.
    """

    threshold: float
    ends: float | None = None
    _warned: bool = field(default=False, init=False)

    def heard(self, ends: float | None) -> None:
        """Take in when the end is now; None while it is open."""
        self.ends = ends

    def next_at(self) -> float | None:
        """Return when `due` will have something to say; None while the end is open."""
        if self.ends is None:
            return None
        return self.ends if self._warned else self.ends - self.threshold

    def due(self, now: float) -> Due | None:
        """Return what there is to say at `now`."""
        if self.ends is None:
            return None
        if now >= self.ends:
            return Due.END
        near = now >= self.ends - self.threshold
        said, self._warned = self._warned, near
        return Due.WARN if near and not said else None
