"""The monitor of a lease in use: warnings, ends, transfers, and controllers that are away."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import grpc
import pytest

from jumpstarter.client import following, lease_monitor
from jumpstarter.client.clock import SystemClock
from jumpstarter.client.conftest import (
    BEGAN,
    GRANTED,
    NAMESPACE,
    FakeLab,
    end,
    lasts,
    lease_message,
)
from jumpstarter.client.lease import Lease
from jumpstarter.client.lease_reach_test import connected_echo, reachable

HALF_AN_HOUR = timedelta(minutes=30)


class ManualClock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._moved = anyio.Event()
        self.until: float | None = None
        """What is waited for at present."""

    def now(self) -> float:
        return self._now

    def date(self) -> datetime:
        return BEGAN + timedelta(seconds=self._now - 1000)

    def advance(self, **span: float) -> None:
        self._now += timedelta(**span).total_seconds()
        self._moved.set()
        self._moved = anyio.Event()

    async def wait(self, event: anyio.Event, until: float | None) -> None:
        self.until = until
        while not event.is_set() and (until is None or self._now < until):
            async with anyio.create_task_group() as tasks:
                for news in (event, self._moved):
                    tasks.start_soon(self._first, news, tasks.cancel_scope)

    async def _first(self, event: anyio.Event, scope: anyio.CancelScope) -> None:
        await event.wait()
        scope.cancel()


@dataclass
class Watched:
    """A lease that is monitored, and what its monitor said."""

    lab: FakeLab
    lease: Lease
    clock: ManualClock
    said: list[timedelta] = field(default_factory=list[timedelta])
    _news: anyio.Event = field(default_factory=anyio.Event)

    def tell(self, lease: Lease, remaining: timedelta) -> None:
        assert lease is self.lease
        self.said.append(remaining)
        self._news.set()

    async def news(self) -> list[timedelta]:
        """Return what was said, once there is more of it."""
        with anyio.fail_after(10):
            await self._news.wait()
        self._news = anyio.Event()
        return self.said

    async def waits_until(self, **span: float) -> None:
        """Return when the monitor waits for that time, counted from the lease's begin."""
        until = 1000 + timedelta(**span).total_seconds() if span else None
        await eventually(lambda: self.clock.until == until)

    async def heard(self, method: str, times: int = 1) -> None:
        """Return when the controller has been asked so often, and the answer has arrived."""
        with anyio.fail_after(10):
            while self.lab.service.calls.count(method) < times:  # noqa: ASYNC110 - nothing tells
                await anyio.sleep(0.005)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(following, "AWAY_FIRST_S", 0.001)
    monkeypatch.setattr(following, "AWAY_LONGEST_S", 0.01)
    monkeypatch.setattr(lease_monitor, "LOOK_SECONDS", 0.01)


@asynccontextmanager
async def watching(lab: FakeLab, **fields: Any) -> AsyncGenerator[Watched]:
    clock = ManualClock()
    lab.service.leases["mine"] = lease_message("mine", GRANTED)
    async with (
        lab.lease(name="mine", release=False, clock=clock, **fields) as wanted,
        wanted as held,
    ):
        watched = Watched(lab, held, clock)
        held.lease_ending_callback = watched.tell
        lab.service.calls.clear()
        async with held.monitor_async():
            await watched.waits_until(minutes=25)
            yield watched


async def test_nothing_is_said_before_the_threshold(lab: FakeLab):
    async with watching(lab) as watched:
        watched.clock.advance(minutes=24, seconds=59)
        await anyio.wait_all_tasks_blocked()
        assert watched.said == []


async def test_one_warning_before_the_end(lab: FakeLab, caplog: pytest.LogCaptureFixture):
    async with watching(lab) as watched:
        watched.clock.advance(minutes=25)
        assert await watched.news() == [timedelta(minutes=5)]
        assert "lease mine ends in 5m" in caplog.text
        watched.clock.advance(minutes=4)
        await anyio.wait_all_tasks_blocked()
        assert watched.said == [timedelta(minutes=5)]
        assert not watched.lease.lease_ended


async def test_the_end_is_told_after_the_controller_was_asked(
    lab: FakeLab, caplog: pytest.LogCaptureFixture
):
    async with watching(lab) as watched:
        watched.clock.advance(minutes=30)
        lasts(lab.service.leases["mine"], HALF_AN_HOUR)
        assert await watched.news() == [timedelta(0)]
        assert watched.lease.lease_ended
        assert lab.service.calls[-1] == "GetLease"
        assert "lease mine has ended" in caplog.text


async def test_the_end_comes_although_nobody_answers(lab: FakeLab):
    async with watching(lab) as watched:
        lab.service.refuse("GetLease", (grpc.StatusCode.UNAVAILABLE, "away"))
        watched.clock.advance(minutes=31)
        assert await watched.news() == [timedelta(0)]
        assert watched.lease.lease_ended


async def test_an_extension_that_nobody_told_of(lab: FakeLab):
    async with watching(lab) as watched:
        lab.service.leases["mine"].duration.FromTimedelta(timedelta(hours=1))
        lasts(lab.service.leases["mine"], HALF_AN_HOUR)
        watched.clock.advance(minutes=30)
        await watched.waits_until(minutes=55)
        assert (watched.said, watched.lease.lease_ended) == ([], False)
        watched.clock.advance(minutes=26)
        assert await watched.news() == [timedelta(minutes=4)]


async def test_an_extension_begins_anew(lab: FakeLab):
    def extend(message: Any) -> None:
        message.duration.FromTimedelta(timedelta(hours=1))
        lasts(message, timedelta(minutes=25))

    async with watching(lab) as watched:
        watched.clock.advance(minutes=25)
        await watched.news()
        lab.service.change("mine", extend)
        await watched.waits_until(minutes=55)
        watched.clock.advance(minutes=30)
        assert await watched.news() == [timedelta(minutes=5)] * 2


async def test_the_clock_here_may_be_wrong(lab: FakeLab):
    async with watching(lab) as watched:
        lab.service.change("mine", lambda message: lasts(message, timedelta(minutes=26)))
        assert await watched.news() == [timedelta(minutes=4)]


async def test_a_release_is_told_at_once(lab: FakeLab):
    async with watching(lab) as watched:
        lab.service.change("mine", end)
        assert await watched.news() == [timedelta(0)]
        assert watched.lease.lease_ended


async def test_a_transfer_is_told_at_once(lab: FakeLab, caplog: pytest.LogCaptureFixture):
    def give_away(message: Any) -> None:
        message.client = f"namespaces/{NAMESPACE}/clients/you"

    async with watching(lab) as watched:
        lab.service.change("mine", give_away)
        assert await watched.news() == [timedelta(0)]
        assert (watched.lease.lease_transferred, watched.lease.lease_ended) == (True, False)
        assert "lease mine was transferred to another client" in caplog.text


async def test_an_old_controller_is_asked(lab: FakeLab):
    lab.service.tells = False
    async with watching(lab) as watched:
        await watched.heard("GetLease", 3)
        end(lab.service.leases["mine"])
        assert await watched.news() == [timedelta(0)]


@pytest.mark.parametrize(
    "refusal",
    [(grpc.StatusCode.UNAVAILABLE, "away"), (grpc.StatusCode.UNKNOWN, "token is expired")],
)
async def test_a_controller_that_fails_ends_nothing(
    lab: FakeLab, refusal: tuple[grpc.StatusCode, str]
):
    async with watching(lab) as watched:
        lab.service.refuse("WatchLease", *[refusal] * 5)
        lab.service.change("mine", lambda _: None)
        await watched.heard("WatchLease", 6)
        assert watched.said == []
        lab.service.change("mine", end)
        assert await watched.news() == [timedelta(0)]


async def test_a_lease_without_an_end_goes_on(lab: FakeLab):
    async with watching(lab) as watched:
        lab.service.change("mine", lambda message: message.ClearField("effective_begin_time"))
        await watched.waits_until()
        watched.clock.advance(days=100)
        await anyio.wait_all_tasks_blocked()
        assert watched.said == []


async def test_the_lease_that_replaces_one_is_watched(lab: FakeLab):
    said: list[tuple[str, timedelta]] = []
    lab.controller.refusals.append((grpc.StatusCode.FAILED_PRECONDITION, "exporter is offline"))
    async with lab.lease() as wanted, wanted as held:
        held.lease_ending_callback = lambda lease, left: said.append((lease.name, left))
        first = held.name
        async with held.monitor_async(), anyio.create_task_group() as tasks:

            async def serve_next() -> None:
                while list(lab.service.leases) == [first]:  # noqa: ASYNC110 - nothing tells
                    await anyio.sleep(0.01)
                async with reachable(lab, list(lab.service.leases)[1]):
                    await anyio.sleep_forever()

            tasks.start_soon(serve_next)
            await connected_echo(held, "hello")
            lab.service.change(first, end)
            await eventually(lambda: lab.service.calls.count("WatchLease") == 2)
            assert said == []
            lab.service.change(held.name, end)
            await eventually(lambda: said == [(held.name, timedelta(0))])
            tasks.cancel_scope.cancel()


async def eventually(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await anyio.sleep(0.01)


async def test_the_system_clock_waits_for_either():
    clock = SystemClock()
    event = anyio.Event()
    began = clock.now()
    await clock.wait(event, began + 0.01)
    assert clock.now() >= began + 0.01
    event.set()
    with anyio.fail_after(5):
        await clock.wait(event, None)
        await clock.wait(event, clock.now() + 1000)
    assert abs(clock.date() - datetime.now(UTC)) < timedelta(seconds=5)
