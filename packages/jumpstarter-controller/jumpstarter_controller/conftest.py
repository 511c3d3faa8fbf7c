"""What the tests of this package share: a lab with a real database, whose time is moved by hand."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jumpstarter.model.status import ExporterStatus

from jumpstarter_controller.book import Settings
from jumpstarter_controller.clock import SteppedClock
from jumpstarter_controller.engine import Engine
from jumpstarter_controller.objects import (
    Client,
    Condition,
    Device,
    Exporter,
    Lease,
    LeaseRequest,
)
from jumpstarter_controller.store.sql import SqlStore, open_store

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMESPACE = "lab"

Wanted = dict[str, Any]
"""Fields of a request, by name."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(slots=True)
class Lab:
    """A running engine, and short ways to fill it and to order things."""

    engine: Engine
    store: SqlStore
    clock: SteppedClock

    async def client(self, name: str = "ann", **labels: str) -> Client:
        return await self.engine.create_client(NAMESPACE, name, labels=labels)

    async def exporter(
        self,
        name: str = "board",
        status: ExporterStatus | None = ExporterStatus.AVAILABLE,
        **labels: str,
    ) -> Exporter:
        """Add an exporter; it registers, and reports `status` unless that is None."""
        made = await self.engine.create_exporter(NAMESPACE, name, labels=labels)
        found = await self.engine.register(made.ref, {}, [Device(uuid="root")])
        if status is None:
            return found
        return await self.engine.report_status(made.ref, status)

    async def lease(
        self,
        client: Client,
        selector: str = "",
        lease_id: str | None = None,
        **wanted: Any,
    ) -> Lease:
        """Ask for a lease, of an hour unless any times are given."""
        if not wanted.keys() & {"duration", "begin_time", "end_time"}:
            wanted["duration"] = HOUR
        request = LeaseRequest(selector=selector, **wanted)
        return await self.engine.create_lease(client.ref, NAMESPACE, request, lease_id)

    async def release(self, client: Client, lease: Lease) -> Lease:
        return await self.engine.release_lease(client.ref, NAMESPACE, lease.name)

    async def look(self, lease: Lease) -> Lease:
        return await self.engine.get_lease(NAMESPACE, lease.name)

    async def report(self, exporter: Exporter, status: ExporterStatus) -> Exporter:
        return await self.engine.report_status(exporter.ref, status)

    async def wait(self, step: timedelta, *, silence: bool = False) -> None:
        """Let time pass, and what falls due be done; exporters are heard, unless in `silence`."""
        self.clock.advance(step)
        for exporter in (await self.engine.list_exporters(NAMESPACE)).items:
            if exporter.online and not silence:
                await self.engine.seen(exporter.ref)
        await self.engine.catch_up()


def told(lease: Lease, kind: str) -> Condition | None:
    """Return the condition of a lease that is of this type."""
    return next((one for one in lease.conditions if one.type == kind), None)


def state(lease: Lease) -> tuple[str, bool, str]:
    """Return the last condition of a lease: what it is about, whether so, and why."""
    last = lease.conditions[-1]
    return last.type, last.status, last.reason


LabMaker = Callable[..., AbstractAsyncContextManager[Lab]]


@pytest.fixture
def open_lab(tmp_path: Path) -> LabMaker:
    """Open the lab of this test, again and again if need be; it keeps what it has."""
    clock = SteppedClock(NOON)

    @asynccontextmanager
    async def opened(settings: Settings | None = None) -> AsyncGenerator[Lab]:
        async with (
            open_store(tmp_path / "lab.db") as store,
            Engine(store, clock=clock, settings=settings or Settings()) as engine,
        ):
            yield Lab(engine, store, clock)

    return opened


@pytest.fixture
async def lab(open_lab: LabMaker) -> AsyncGenerator[Lab]:
    """A lab that is empty."""
    async with open_lab() as opened:
        yield opened
