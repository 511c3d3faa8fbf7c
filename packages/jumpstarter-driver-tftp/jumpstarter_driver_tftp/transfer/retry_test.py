"""How long is waited, and how often: values in, values out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter_driver_tftp.transfer.retry import MIN_WAIT_SECONDS, Retry


def waits(retry: Retry, *, heard: bool, now: float = 0.0) -> list[float]:
    """Send something, never answer, and return how long each wait was, to the end."""
    retry.sent(now)
    seen: list[float] = []
    while True:
        assert retry.due is not None
        seen.append(round(retry.due - now, 6))
        now = retry.due
        assert retry.is_due(now)
        if not retry.again(now, heard=heard):
            return seen


def measured(*samples: float, timeout: float = 5.0, tries: int = 3) -> Retry:
    retry = Retry(timeout, tries)
    for sample in samples:
        retry.measure(sample)
    return retry


@pytest.mark.parametrize(
    ("retry", "heard", "seen"),
    [
        pytest.param(Retry(3, 3, exact=True), False, [3, 3, 3], id="given, never heard"),
        pytest.param(Retry(3, 3, exact=True), True, [3, 3, 3], id="given, heard"),
        pytest.param(Retry(255, 2, exact=True), True, [255, 255], id="given, longest"),
        pytest.param(Retry(5, 3), False, [1, 2, 4], id="not measured, never heard"),
        pytest.param(Retry(5, 5), False, [1, 2, 4, 5, 5], id="not measured, up to the timeout"),
        pytest.param(Retry(5, 3), True, [1, 2, 4, 5, 5, 5], id="not measured, heard"),
        pytest.param(Retry(0.3, 3), False, [0.3, 0.3, 0.3], id="timeout below the first wait"),
        pytest.param(Retry(5, 1), False, [1], id="a single try"),
        pytest.param(
            measured(0.01, timeout=1.0, tries=2),
            True,
            [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0],
            id="stalls: only full waits count",
        ),
        pytest.param(measured(0.01, tries=2), False, [0.05, 0.1], id="measured, never heard"),
    ],
)
def test_waits_in_vain(retry: Retry, heard: bool, seen: list[float]):
    assert waits(retry, heard=heard) == seen


@pytest.mark.parametrize(
    ("samples", "rtt", "wait"),
    [
        pytest.param([0.0001], 0.0001, 0.05, id="never below the minimum"),
        pytest.param([0.1], 0.1, 0.3, id="first: three round trips"),
        pytest.param([0.1, 0.1], 0.1, 0.25, id="steady: less"),
        pytest.param([0.1, 0.2], 0.1125, 0.3625, id="jitter: more"),
        pytest.param([9.0], 9.0, 5.0, id="never above the timeout"),
    ],
)
def test_wait_follows_the_round_trip(samples: list[float], rtt: float, wait: float):
    retry = measured(*samples)
    retry.sent(10.0)
    assert retry.rtt == pytest.approx(rtt)
    assert retry.due == pytest.approx(10.0 + wait)


def test_doubled_wait_holds_until_the_next_measurement():
    retry = measured(0.1)
    retry.sent(0.0)
    assert retry.again(0.3, heard=True)
    retry.sent(1.0)
    assert retry.due == pytest.approx(1.6)
    retry.measure(0.1)
    retry.sent(2.0)
    assert retry.due == pytest.approx(2.25)


def test_given_timeout_is_measured_but_not_changed():
    retry = Retry(2.0, 3, exact=True)
    retry.measure(0.1)
    retry.sent(0.0)
    assert (retry.rtt, retry.due) == (0.1, 2.0)


def test_progress_starts_the_count_afresh():
    retry = Retry(1.0, 2)
    retry.sent(0.0)
    assert retry.again(1.0, heard=False)
    retry.sent(1.5)
    assert retry.again(2.5, heard=False)
    assert not retry.again(3.5, heard=False)


def test_agreed_timeout_holds_from_then_on():
    retry = Retry(5.0, 2)
    retry.agree(2.0, exact=True)
    assert waits(retry, heard=True) == [2.0, 2.0]
    retry.agree(0.5, exact=False)
    assert waits(retry, heard=True) == [0.5, 0.5]


def test_nothing_is_due_when_nothing_is_under_way():
    retry = Retry(1.0, 3)
    assert not retry.is_due(1e9)
    retry.sent(0.0)
    assert not retry.is_due(0.9)
    retry.stop()
    assert (retry.due, retry.is_due(1e9)) == (None, False)


@given(
    st.lists(st.floats(0.0, 1000.0), max_size=20),
    st.floats(0.001, 255.0),
    st.integers(1, 9),
    st.booleans(),
)
def test_every_wait_is_bounded_and_silence_ends(
    samples: list[float], timeout: float, tries: int, heard: bool
):
    seen = waits(measured(*samples, timeout=timeout, tries=tries), heard=heard)
    assert all(wait <= timeout + 1e-6 for wait in seen)
    assert all(wait >= min(MIN_WAIT_SECONDS, timeout) - 1e-6 for wait in seen)
    assert seen == sorted(seen)
    doublings = max(0, len(seen) - tries)
    assert doublings == 0 or heard
    assert doublings <= 14  # 0.05 s to 255 s
