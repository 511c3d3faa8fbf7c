"""The status monitor: what it shows, whom it wakes, and when it gives up."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import grpc
import pytest

from jumpstarter.client import status_monitor
from jumpstarter.client.conftest import serving, stub_of
from jumpstarter.client.status_monitor import StatusMonitor, ask_status
from jumpstarter.client.status_test import Nothing, Script
from jumpstarter.exporter import Session
from jumpstarter.model.status import ExporterStatus


@asynccontextmanager
async def monitor_of(script: Script) -> AsyncGenerator[StatusMonitor]:
    async with (
        serving(script) as path,
        stub_of(path) as stub,
        StatusMonitor(stub, 0) as monitor,
    ):
        yield monitor


@pytest.fixture
def session() -> Session:
    return Session(root_device=Nothing())


@pytest.fixture
async def monitor(session: Session) -> AsyncGenerator[StatusMonitor]:
    async with (
        session.serve_unix_async() as path,
        stub_of(path) as stub,
        StatusMonitor(stub, 0) as monitor,
    ):
        yield monitor


async def test_it_shows_the_last_status(session: Session, monitor: StatusMonitor):
    session.update_status(ExporterStatus.LEASE_READY, "come in")
    assert await monitor.wait_for_status(ExporterStatus.LEASE_READY, timeout=5)
    assert monitor.current_status is ExporterStatus.LEASE_READY
    assert (monitor.status_message, monitor.version) == ("come in", 1)
    assert not monitor.connection_lost


async def test_all_who_wait_are_woken(session: Session, monitor: StatusMonitor):
    seen: list[ExporterStatus | None] = []

    async def wait(*targets: ExporterStatus) -> None:
        seen.append(await monitor.wait_for_any_of(list(targets), timeout=5))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, ExporterStatus.OFFLINE)
        tasks.start_soon(wait, ExporterStatus.LEASE_READY, ExporterStatus.OFFLINE)
        await anyio.wait_all_tasks_blocked()
        session.update_status(ExporterStatus.OFFLINE)
    assert seen == [ExporterStatus.OFFLINE] * 2


async def test_waiting_is_bounded(monitor: StatusMonitor):
    assert await monitor.wait_for_any_of([ExporterStatus.OFFLINE], timeout=0.05) is None
    assert not await monitor.wait_for_status(ExporterStatus.OFFLINE, timeout=0.05)


async def test_exporter_without_status_counts_as_ready():
    script = Script(grpc.StatusCode.UNIMPLEMENTED)
    async with monitor_of(script) as monitor:
        assert await monitor.wait_for_status(ExporterStatus.LEASE_READY, timeout=5)
        assert not monitor.connection_lost
    assert script.asked == 1


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL])
async def test_connection_that_is_lost_wakes_who_waits(code: grpc.StatusCode):
    async with monitor_of(Script(ExporterStatus.AVAILABLE, code)) as monitor:
        assert await monitor.wait_for_any_of([ExporterStatus.LEASE_READY], timeout=5) is None
        assert monitor.connection_lost
        assert await monitor.wait_for_any_of([ExporterStatus.AVAILABLE], timeout=5) is None


SILENT_CALLS = round(status_monitor.SILENT_SECONDS / status_monitor.CALL_SECONDS)


async def test_exporter_that_is_slow_is_asked_again():
    late = grpc.StatusCode.DEADLINE_EXCEEDED
    script = Script(*[late] * (SILENT_CALLS - 1), ExporterStatus.LEASE_READY)
    async with monitor_of(script) as monitor:
        assert await monitor.wait_for_status(ExporterStatus.LEASE_READY, timeout=5)
    assert script.asked >= SILENT_CALLS


async def test_exporter_that_is_silent_counts_as_lost():
    script = Script(grpc.StatusCode.DEADLINE_EXCEEDED)
    async with monitor_of(script) as monitor:
        assert await monitor.wait_for_any_of(list(ExporterStatus), timeout=5) is None
        assert monitor.connection_lost
    assert script.asked == SILENT_CALLS


async def test_an_exporter_of_ours_tells(session: Session):
    async with (
        session.serve_unix_async() as path,
        stub_of(path) as stub,
        StatusMonitor(Counting(stub), poll_interval=1000) as monitor,
    ):
        assert await monitor.wait_for_status(ExporterStatus.AVAILABLE, timeout=5)
        for number, status in enumerate(
            [ExporterStatus.BEFORE_LEASE_HOOK, *[ExporterStatus.LEASE_READY] * 2], 1
        ):
            session.update_status(status, str(number))
            assert await monitor.wait_for_status(status, timeout=5)
            while monitor.version != number:  # noqa: ASYNC110 - nothing tells
                await anyio.sleep(0.001)
        assert monitor.status_message == "3"


async def test_an_exporter_of_ours_is_asked_only_when_it_has_told(session: Session):
    async with session.serve_unix_async() as path, stub_of(path) as stub:
        counting = Counting(stub)
        async with StatusMonitor(counting, poll_interval=0) as monitor:
            assert await monitor.wait_for_status(ExporterStatus.AVAILABLE, timeout=5)
            await anyio.sleep(0.2)
            assert counting.asked == 2


async def test_an_exporter_that_has_nothing_to_tell_answers_in_the_end(
    session: Session, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("jumpstarter.exporter.service.HOLD_SECONDS", 0.01)
    async with session.serve_unix_async() as path, stub_of(path) as stub:
        known = await ask_status(stub, None)
        again = await ask_status(stub, known.version)
    assert (known.told, again.told) == (False, True)
    assert again.version == known.version


@dataclass
class Counting:
    """A stub that counts the questions."""

    stub: Any
    asked: int = 0

    def GetStatus(self, *args: Any, **kwargs: Any) -> Any:  # noqa: N802 - as its RPC
        self.asked += 1
        return self.stub.GetStatus(*args, **kwargs)


async def test_errors_inside_come_as_themselves():
    async def fail() -> None:
        async with monitor_of(Script(ExporterStatus.AVAILABLE)):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await fail()
