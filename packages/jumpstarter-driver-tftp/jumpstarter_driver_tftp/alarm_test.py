"""The timer of one transfer: never too late, and sometimes early."""

import asyncio
import gc
import weakref

import anyio

from jumpstarter_driver_tftp.alarm import Alarm
from jumpstarter_driver_tftp.conftest import PATIENCE


class Bell:
    """Looks again whenever it rings, until it is late enough."""

    def __init__(self, deadline: float) -> None:
        self.alarm = Alarm(self.ring)
        self.deadline = deadline
        self.loop = asyncio.get_running_loop()
        self.rang = 0
        self.done = anyio.Event()

    def ring(self) -> None:
        self.rang += 1
        if self.loop.time() >= self.deadline:
            self.done.set()
        else:
            self.alarm.set(self.deadline)


async def rings_of(*seconds: float) -> int:
    """Set the alarm some times, and return how often it rings until the last deadline is over."""
    now = asyncio.get_running_loop().time()
    bell = Bell(now + seconds[-1])
    for wait in seconds:
        bell.alarm.set(now + wait)
    with anyio.fail_after(PATIENCE):
        await bell.done.wait()
    return bell.rang


async def test_near_deadline_rings_once():
    assert await rings_of(0.01) == 1


async def test_first_ring_before_a_far_deadline_is_early_and_the_next_is_not():
    assert await rings_of(0.2) == 2


async def test_deadline_that_comes_nearer_counts():
    assert await rings_of(60.0, 0.01) == 1


async def test_deadline_that_moves_away_is_looked_at_again():
    assert await rings_of(0.01, 0.2) == 2


async def test_no_deadline_sets_nothing():
    bell = Bell(0.0)
    bell.alarm.set(None)
    bell.alarm.set(asyncio.get_running_loop().time() + 0.01)
    bell.alarm.cancel()
    later = anyio.Event()
    asyncio.get_running_loop().call_later(0.02, later.set)
    await later.wait()
    assert not bell.rang


async def test_who_has_been_cancelled_is_freed_without_the_collector():
    bell = Bell(0.0)
    bell.alarm.set(asyncio.get_running_loop().time() + 60.0)
    bell.alarm.cancel()
    left = weakref.ref(bell)
    gc.disable()
    try:
        del bell
        assert left() is None
    finally:
        gc.enable()
