"""What a client concludes from a lease's conditions, from failures, and from times."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from jumpstarter.model.lease_progress import (
    Countdown,
    Dialled,
    Due,
    LeaseTimes,
    Patience,
    Standing,
    Verdict,
    judge_dial,
    judge_failure,
    judge_lease,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Condition:
    type: str
    status: str
    reason: str = ""
    message: str = ""


READY = Condition("Ready", "True", "Ready")
PENDING = Condition("Pending", "True", "Offline", "nobody is there")


@pytest.mark.parametrize(
    ("conditions", "standing", "text"),
    [
        ((), Standing.WAITING, ""),
        ((PENDING,), Standing.WAITING, "nobody is there"),
        ((READY,), Standing.GRANTED, ""),
        # A lease that has waited keeps saying so.
        ((PENDING, READY), Standing.GRANTED, ""),
        ((Condition("Ready", "Unknown"),), Standing.WAITING, ""),
        (
            (Condition("Unsatisfiable", "True", "NoAccess", "no policy"),),
            Standing.REFUSED,
            "the lease cannot be satisfied: no policy",
        ),
        (
            (PENDING, Condition("Unsatisfiable", "True", "NoExporter", "gone")),
            Standing.AGAIN,
            "the lease cannot be satisfied: gone",
        ),
        (
            (Condition("Unsatisfiable", "False", "NoAccess"), PENDING),
            Standing.WAITING,
            PENDING.message,
        ),
        ((Condition("Invalid", "True"),), Standing.REFUSED, "the lease is invalid"),
        ((Condition("Pending", "False"),), Standing.REFUSED, "the lease is not pending any more"),
        ((Condition("Pending", "False"), READY), Standing.GRANTED, ""),
        (
            (Condition("Ready", "False", "Released"),),
            Standing.ENDED,
            "the lease was released",
        ),
        (
            (PENDING, Condition("Ready", "False", "Expired", "over")),
            Standing.ENDED,
            "the lease has run out: over",
        ),
        ((Condition("Ready", "False", "Odd"),), Standing.REFUSED, "the lease is not ready"),
    ],
)
def test_standing(conditions: tuple[Condition, ...], standing: Standing, text: str):
    assert judge_lease(conditions) == Verdict(standing, text)


@pytest.mark.parametrize("conditions", [(), (PENDING,), (READY,), (PENDING, READY)])
def test_a_lease_that_has_an_end_is_over(conditions: tuple[Condition, ...]):
    assert judge_lease(conditions, ended=True) == Verdict(Standing.ENDED, "the lease has ended")


def test_a_lease_that_was_ended_at_once_says_why():
    unsatisfiable = Condition("Unsatisfiable", "True", "NoAccess", "no policy")
    text = "the lease cannot be satisfied: no policy"
    assert judge_lease((unsatisfiable,), ended=True) == Verdict(Standing.REFUSED, text)
    again = Condition("Unsatisfiable", "True", "NoExporter")
    assert judge_lease((again,), ended=True).standing is Standing.AGAIN


def test_no_text_looks_like_a_token_that_ran_out():
    # The word makes programs try to log in again.
    every = [Condition("Ready", "False", reason) for reason in ("Released", "Expired", "Odd")]
    assert all("expired" not in judge_lease((item,)).text.lower() for item in every)


@pytest.mark.parametrize(
    ("code", "details", "patience"),
    [
        ("UNAVAILABLE", "connection refused", Patience.WAIT),
        ("DEADLINE_EXCEEDED", "", Patience.WAIT),
        ("UNKNOWN", "token is expired", Patience.STOP),
        ("UNKNOWN", "lease not found", Patience.TRY),
        ("INTERNAL", "", Patience.TRY),
        ("UNAUTHENTICATED", "", Patience.STOP),
        ("PERMISSION_DENIED", "", Patience.STOP),
        ("INVALID_ARGUMENT", "", Patience.STOP),
        ("NOT_FOUND", "", Patience.STOP),
    ],
)
def test_patience(code: str, details: str, patience: Patience):
    assert judge_failure(code, details) is patience


@pytest.mark.parametrize(
    ("code", "details", "dialled"),
    [
        ("UNAVAILABLE", "not listening", Dialled.AGAIN),
        ("UNAVAILABLE", "permission denied", Dialled.AGAIN),
        ("FAILED_PRECONDITION", "exporter is not ready (status: Available)", Dialled.AGAIN),
        ("FAILED_PRECONDITION", "exporter is offline", Dialled.LOST),
        ("UNKNOWN", "not ready", Dialled.LOST),
        ("UNKNOWN", "permission denied", Dialled.TRANSFERRED),
        ("PERMISSION_DENIED", "x: permission denied", Dialled.TRANSFERRED),
        ("UNKNOWN", "lease not active", Dialled.LOST),
        ("RESOURCE_EXHAUSTED", "", Dialled.LOST),
    ],
)
def test_dial(code: str, details: str, dialled: Dialled):
    assert judge_dial(code, details) is dialled


@pytest.mark.parametrize(
    ("times", "expires"),
    [
        (LeaseTimes(duration=HOUR), None),
        (LeaseTimes(duration=None, effective_begin=NOON), None),
        (LeaseTimes(duration=HOUR, effective_begin=NOON), NOON + HOUR),
        # One that was scheduled and had its exporter late is not made longer.
        (LeaseTimes(duration=HOUR, begin=NOON, effective_begin=NOON + HOUR / 2), NOON + HOUR),
        (LeaseTimes(duration=HOUR, begin=NOON), NOON + HOUR),
        (LeaseTimes(duration=HOUR, end=NOON, effective_begin=NOON), NOON),
    ],
)
def test_end(times: LeaseTimes, expires: datetime | None):
    assert times.expires() == expires
    assert times.remaining(NOON) == (None if expires is None else expires - NOON)


def test_the_controllers_clock_counts():
    times = LeaseTimes(duration=HOUR, effective_begin=NOON, effective_duration=HOUR / 4)
    assert times.remaining(NOON + 100 * HOUR) == 3 * HOUR / 4


def test_a_countdown_without_an_end():
    countdown = Countdown(threshold=5)
    assert countdown.next_at() is None
    assert countdown.due(1e9) is None


def test_a_countdown_warns_once_and_ends():
    countdown = Countdown(threshold=5)
    countdown.heard(100)
    assert (countdown.due(94.9), countdown.next_at()) == (None, 95)
    assert (countdown.due(95), countdown.next_at()) == (Due.WARN, 100)
    assert countdown.due(99) is None
    assert countdown.due(100) is Due.END
    assert countdown.due(101) is Due.END


def test_a_countdown_that_begins_near_its_end():
    countdown = Countdown(threshold=5)
    countdown.heard(3)
    assert countdown.due(0) is Due.WARN
    assert countdown.due(0) is None


def test_a_countdown_begins_anew_when_the_end_is_put_off():
    countdown = Countdown(threshold=5)
    countdown.heard(100)
    assert countdown.due(96) is Due.WARN
    countdown.heard(200)
    # The warning is forgotten as soon as it is not true any more.
    assert (countdown.due(96), countdown.next_at()) == (None, 195)
    assert countdown.due(195) is Due.WARN
