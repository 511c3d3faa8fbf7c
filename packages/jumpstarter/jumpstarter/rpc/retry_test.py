"""Waits between tries: how long, how many, and with how much chance."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter.rpc.retry import Backoff

SECONDS = st.floats(0.001, 1000)


def delays(backoff: Backoff, count: int, chance: float = 0) -> list[float | None]:
    return [backoff.next_delay(chance) for _ in range(count)]


def test_waits_double_up_to_the_longest():
    assert delays(Backoff(first_s=0.5, longest_s=3), 5) == [0.5, 1, 2, 3, 3]


def test_tries_are_used_up():
    backoff = Backoff(first_s=1, longest_s=9, tries=2)
    assert delays(backoff, 4) == [1, 2, None, None]


def test_no_tries_at_all():
    assert Backoff(first_s=1, longest_s=9, tries=0).next_delay(0) is None


def test_a_success_begins_anew():
    backoff = Backoff(first_s=1, longest_s=9, tries=2)
    delays(backoff, 3)
    backoff.reset()
    assert delays(backoff, 3) == [1, 2, None]


def test_waiting_for_ever_never_overflows():
    backoff = Backoff(first_s=1, longest_s=60)
    assert set(delays(backoff, 5000)[10:]) == {60}


@given(first=SECONDS, longest=SECONDS, chance=st.floats(0, 1), count=st.integers(1, 40))
def test_chance_shortens_by_a_quarter_at_most(
    first: float, longest: float, chance: float, count: int
):
    plain = delays(Backoff(first, longest), count)
    shortened = delays(Backoff(first, longest), count, chance)
    for whole, part in zip(plain, shortened, strict=True):
        assert whole is not None
        assert part is not None
        assert whole * 0.75 <= part <= whole <= longest


async def test_wait_waits():
    backoff = Backoff(first_s=0.02, longest_s=0.02, tries=1)
    begin = anyio.current_time()
    assert await backoff.wait()
    assert anyio.current_time() - begin > 0.014
    assert not await backoff.wait()


@pytest.mark.parametrize("tries", [0, 3])
async def test_wait_when_tries_are_used_up_returns_at_once(tries: int):
    backoff = Backoff(first_s=1000, longest_s=1000, tries=tries)
    delays(backoff, tries)
    with anyio.fail_after(0.5):
        assert not await backoff.wait()
