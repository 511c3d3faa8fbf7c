"""Waiting: how often, how long, and what comes out."""

import threading
from time import monotonic

import pytest

from jumpstarter_testing import eventually


class _Failing:
    """Fails a number of times, then returns how often it was called."""

    def __init__(self, times: int, error: BaseException) -> None:
        self.left = times
        self.error = error
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.left:
            raise self.error
        return self.calls


def test_success_at_once_is_returned():
    assert eventually(_Failing(0, OSError())) == 1


@pytest.mark.parametrize("error", [AssertionError(), OSError(), pytest.fail.Exception("no")])
def test_failures_are_tried_again(error: BaseException):
    assert eventually(_Failing(3, error), interval=0) == 4


def test_last_failure_is_raised_after_the_timeout():
    failing = _Failing(10**9, AssertionError("still off"))
    started = monotonic()
    with pytest.raises(AssertionError, match="still off"):
        eventually(failing, timeout=0.1, interval=0.01)
    assert monotonic() - started >= 0.1
    assert failing.calls > 1


def test_without_time_it_is_tried_once():
    failing = _Failing(10**9, AssertionError())
    with pytest.raises(AssertionError):
        eventually(failing, timeout=0)
    assert failing.calls == 1


def test_interval_longer_than_the_timeout_is_cut_short():
    failing = _Failing(1, AssertionError())
    assert eventually(failing, timeout=0.05, interval=60) == 2


def test_what_another_thread_does_is_seen():
    done = threading.Event()

    def check() -> None:
        assert done.is_set()

    thread = threading.Timer(0.05, done.set)
    thread.start()
    eventually(check)
    thread.join()


def test_interrupt_is_not_tried_again():
    failing = _Failing(1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        eventually(failing)
    assert failing.calls == 1
