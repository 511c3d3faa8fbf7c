"""Failures in a row: how many, how close to each other, and what makes them forgotten."""

from jumpstarter.model.rapid_failures import RapidFailures


def outcomes(failures: RapidFailures, *times: float) -> list[bool]:
    return [failures.failed(now) for now in times]


def test_as_many_as_the_limit_are_too_many():
    assert outcomes(RapidFailures(3, 60), 0, 60, 120) == [False, False, True]


def test_a_pause_longer_than_the_window_begins_anew():
    assert outcomes(RapidFailures(2, 60), 0, 60.5, 121.5, 130) == [False, False, False, True]


def test_a_success_begins_anew():
    failures = RapidFailures(2, 60)
    assert not failures.failed(0)
    failures.succeeded()
    assert outcomes(failures, 1, 2) == [False, True]


def test_a_limit_of_one_forgives_nothing():
    assert outcomes(RapidFailures(1, 0), 5) == [True]


def test_a_limit_of_none_forgives_everything():
    assert not any(outcomes(RapidFailures(0, 60), *range(100)))
