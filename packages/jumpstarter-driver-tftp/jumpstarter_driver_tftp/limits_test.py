"""How often a client is answered, and who makes room for whom."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter_driver_tftp import limits
from jumpstarter_driver_tftp.limits import FullError, Limits, Places, Rates


@dataclass(eq=False)
class Occupant:
    name: str = ""
    expendable: bool = False


@pytest.mark.parametrize(
    "wrong",
    [{"transfers": 0}, {"transfers_per_client": 0}, {"requests_per_second": 0}, {"burst": 0}],
)
def test_limit_that_forbids_everything_is_refused(wrong: dict[str, int]):
    with pytest.raises(ValueError, match="at least 1"):
        Limits(**wrong)


def test_burst_then_rate():
    rates = Rates(per_second=10, burst=3)
    assert [rates.allow("a", 100.0) for _ in range(5)] == [True, True, True, False, False]
    assert not rates.allow("a", 100.05)
    assert rates.allow("a", 100.11)
    assert not rates.allow("a", 100.12)
    assert [rates.allow("a", 200.0) for _ in range(4)] == [True, True, True, False]


def test_each_client_has_its_own():
    rates = Rates(per_second=1, burst=1)
    assert rates.allow("a", 100.0)
    assert not rates.allow("a", 100.0)
    assert rates.allow("b", 100.0)


@given(st.lists(st.floats(0, 0.5), max_size=200), st.floats(1, 100), st.integers(1, 20))
def test_never_more_than_burst_and_rate(steps: list[float], per_second: float, burst: int):
    rates = Rates(per_second, burst)
    now, allowed = 1000.0, 0
    for step in steps:
        now += step
        allowed += rates.allow("a", now)
    assert allowed <= burst + (now - 1000.0) * per_second + 1e-6


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3)), max_size=100))
def test_forgetting_changes_nothing(steps: list[tuple[str, float]]):
    rates = Rates(per_second=2, burst=3)
    levels: dict[str, tuple[float, float]] = {}
    now = 1000.0
    for client, step in steps:
        now += step
        tokens, since = levels.get(client, (3.0, now))
        tokens = min(3.0, tokens + (now - since) * 2)
        expected = tokens > 1 - 1e-9
        assert rates.allow(client, now) == expected
        levels[client] = (tokens - expected, now)


def test_full_buckets_are_forgotten():
    rates = Rates(per_second=100, burst=100)
    for number in range(1000):
        rates.allow(str(number), 100.0)
    assert len(rates) == 1000
    for now in (102.0, 104.0):
        rates.allow("last", now)
    assert len(rates) <= 2


def test_clients_beyond_the_bound_share_a_bucket(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MAX_CLIENTS", 10)
    rates = Rates(per_second=1, burst=100)
    allowed = sum(rates.allow(str(number), 100.0) for number in range(1000))
    assert allowed == 10 + 100
    assert len(rates) == 11
    assert rates.allow("3", 100.0)


def test_places_are_bounded_by_client_and_overall():
    places = Places[Occupant](total=3, per_client=2)
    first, second, third = Occupant(), Occupant(), Occupant()
    assert places.take("a", first) is None
    assert places.take("a", second) is None
    with pytest.raises(FullError):
        places.take("a", Occupant())
    assert places.take("b", third) is None
    with pytest.raises(FullError):
        places.take("c", Occupant())
    assert len(places) == 3
    places.leave(first)
    assert places.take("c", Occupant()) is None


def test_oldest_expendable_makes_room():
    places = Places[Occupant](total=10, per_client=3)
    ours = [Occupant(name, expendable=True) for name in "123"]
    places.take("b", other := Occupant("other", expendable=True))
    places.offer(other)
    for occupant in ours:
        places.take("a", occupant)
        places.offer(occupant)
    ours[0].expendable = False  # its client has answered since
    assert places.take("a", Occupant("4")) is ours[1]
    assert places.take("a", Occupant("5")) is ours[2]
    with pytest.raises(FullError):
        places.take("a", Occupant("6"))
    assert len(places) == 4


def test_any_client_makes_room_when_all_places_are_taken():
    places = Places[Occupant](total=2, per_client=2)
    places.take("a", abandoned := Occupant(expendable=True))
    places.offer(abandoned)
    places.take("b", Occupant())
    assert places.take("c", Occupant()) is abandoned
    assert len(places) == 2


def test_who_has_left_makes_no_room():
    places = Places[Occupant](total=1, per_client=1)
    gone = Occupant(expendable=True)
    places.take("a", gone)
    places.leave(gone)
    places.leave(gone)
    places.offer(gone)
    assert places.take("a", Occupant()) is None
    with pytest.raises(FullError):
        places.take("a", Occupant())
