"""A leased exporter is reached through the tunnel, waited for, and given up for another one."""

from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import grpc
import pytest
from anyio.abc import TaskStatus
from anyio.from_thread import BlockingPortal

from jumpstarter.client import DriverClient, lease
from jumpstarter.client.client import client_from_path
from jumpstarter.client.conftest import EXPORTER, GRANTED, FakeLab, end, lease_message
from jumpstarter.client.lease import Lease
from jumpstarter.driver import Driver, export
from jumpstarter.exporter import Session
from jumpstarter.model.errors import (
    DriverError,
    ExporterUnreachableError,
    LeaseEndedError,
    LeaseTransferredError,
)
from jumpstarter.model.status import ExporterStatus


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lease, "HOOK_SECONDS", 0.001)


class Echo(Driver):
    """Says what it is told."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    async def echo(self, value: str) -> str:
        return value


@asynccontextmanager
async def reachable(lab: FakeLab, name: str) -> AsyncGenerator[Session]:
    """Serve a session for the lease."""
    with Session(root_device=Echo()) as session:
        session.update_status(ExporterStatus.LEASE_READY)
        async with session.serve_unix_async() as path, lab.offered(path, name):
            yield session


async def connected_echo(held: Lease, text: str) -> Any:
    with ExitStack() as stack:
        async with held.connect_async(stack) as client:
            return await client.call_async("echo", text)


async def test_the_tunnel_carries_a_session(lab: FakeLab):
    async with lab.lease() as wanted, wanted as held, reachable(lab, held.name):
        assert await connected_echo(held, "hello") == "hello"
        assert lab.controller.dialled == [held.name]


async def test_each_connection_is_dialled(lab: FakeLab):
    async with (
        lab.lease() as wanted,
        wanted as held,
        reachable(lab, held.name),
        held.serve_unix_async() as path,
    ):
        for number in range(3):
            assert await call_once(held, path, str(number)) == str(number)
        # A connection for calls that block is only made when there is one.
        assert len(lab.controller.dialled) == 3


async def call_once(held: Lease, path: Path, text: str) -> Any:
    with ExitStack() as stack:
        async with client_from_path(path, held.portal, stack, [], unsafe=True) as client:
            return await client.call_async("echo", text)


async def test_a_connection_after_a_break_is_a_new_one(lab: FakeLab):
    async with lab.lease() as wanted, wanted as held:
        async with reachable(lab, held.name):
            assert await connected_echo(held, "before") == "before"
        lab.controller.refusals.append((grpc.StatusCode.UNAVAILABLE, "not listening"))
        async with reachable(lab, held.name):
            assert await connected_echo(held, "after") == "after"


async def test_a_client_outlives_a_break_of_its_tunnel(lab: FakeLab):
    async def serve_once(*, task_status: TaskStatus[None]) -> None:
        async with reachable(lab, held.name):
            task_status.started()
            await broken.wait()
        gone.set()

    broken, gone = anyio.Event(), anyio.Event()
    async with lab.lease() as wanted, wanted as held, anyio.create_task_group() as tasks:
        await tasks.start(serve_once)
        with ExitStack() as stack:
            async with held.connect_async(stack) as client:
                assert await client.call_async("echo", "before") == "before"
                broken.set()
                await gone.wait()
                lab.controller.refusals.append((grpc.StatusCode.UNAVAILABLE, "not listening"))
                async with reachable(lab, held.name):
                    assert await answered(client) is ExporterStatus.LEASE_READY


async def answered(client: DriverClient) -> ExporterStatus | None:
    """Return the status as soon as the exporter is reached again; gRPC waits between its tries."""
    with anyio.fail_after(20):
        while True:
            with suppress(DriverError):
                return await client.get_status_async()
            await anyio.sleep(0.05)


async def test_blocking_calls_go_through_the_tunnel(lab: FakeLab):
    async with (
        BlockingPortal() as portal,
        lab.lease(portal=portal) as wanted,
        wanted as held,
        reachable(lab, held.name),
    ):

        def use() -> Any:
            with held.connect() as client:
                return client.call("echo", "from a thread")

        assert await anyio.to_thread.run_sync(use) == "from a thread"


@pytest.mark.parametrize(
    "refusal",
    [
        (grpc.StatusCode.FAILED_PRECONDITION, "exporter is not ready (status: Available)"),
        (grpc.StatusCode.UNAVAILABLE, "exporter is not listening on lease x"),
    ],
)
async def test_an_exporter_on_its_way_is_dialled_again(
    lab: FakeLab, refusal: tuple[grpc.StatusCode, str]
):
    lab.controller.refusals.append(refusal)
    async with lab.lease() as wanted, wanted as held, reachable(lab, held.name):
        assert await connected_echo(held, "hello") == "hello"
        assert len(lab.controller.dialled) == 2


async def test_dialling_has_an_end(lab: FakeLab):
    lab.controller.refusals.extend([(grpc.StatusCode.UNAVAILABLE, "not listening")] * 100)
    async with lab.lease(dial_timeout=0.1, retry_timeout=0) as wanted, wanted as held:
        with pytest.raises(ExporterUnreachableError) as caught:
            await connected_echo(held, "hello")
    text = f"exporter of lease {held.name} unreachable after 0 s: not listening"
    assert caught.value.message == text


async def test_a_transferred_lease_cannot_be_dialled(lab: FakeLab):
    lab.controller.refusals.append((grpc.StatusCode.UNKNOWN, "permission denied"))
    async with lab.lease() as wanted, wanted as held:
        with pytest.raises(LeaseTransferredError, match=r"was transferred to another client$"):
            await connected_echo(held, "hello")
        assert held.lease_transferred
    assert lab.service.deleted == []


async def test_an_ended_lease_is_the_reason(lab: FakeLab):
    lab.controller.refusals.append((grpc.StatusCode.UNKNOWN, "lease not active"))
    async with lab.lease() as wanted, wanted as held:
        lab.service.change(held.name, end)
        with pytest.raises(LeaseEndedError, match=rf"^lease {held.name} has ended"):
            await connected_echo(held, "hello")
        assert held.lease_ended
    assert lab.service.deleted == []


async def test_an_exporter_that_is_lost_is_given_up_for_another_lease(lab: FakeLab):
    lab.controller.refusals.append((grpc.StatusCode.FAILED_PRECONDITION, "exporter is offline"))
    async with lab.lease() as wanted, wanted as held:
        first = held.name
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(offer_next, lab, first, tasks.cancel_scope)
            assert await connected_echo(held, "hello") == "hello"
            tasks.cancel_scope.cancel()
        assert held.name != first
        assert lab.service.deleted == [first]
    assert lab.service.deleted == [first, held.name]


async def offer_next(lab: FakeLab, first: str, _: anyio.CancelScope) -> None:
    """Serve the lease that comes after `first`."""
    while list(lab.service.leases) == [first]:  # noqa: ASYNC110 - nothing tells
        await anyio.sleep(0.01)
    name = list(lab.service.leases)[1]
    async with reachable(lab, name):
        await anyio.sleep_forever()


async def test_a_named_lease_is_not_given_up(lab: FakeLab):
    lab.service.leases["mine"] = lease_message("mine", GRANTED)
    lab.controller.refusals.append((grpc.StatusCode.FAILED_PRECONDITION, "exporter is offline"))
    async with lab.lease(name="mine", release=False) as wanted, wanted as held:
        with pytest.raises(ExporterUnreachableError, match="exporter is offline"):
            await connected_echo(held, "hello")
    assert lab.service.deleted == []


async def test_an_exporter_in_its_hook_is_waited_for(lab: FakeLab):
    status = ExporterStatus.BEFORE_LEASE_HOOK
    lab.service.add_exporter(EXPORTER, {}, status=status.to_proto())
    refusal = (grpc.StatusCode.FAILED_PRECONDITION, "busy with its hook")
    lab.controller.refusals.extend([refusal] * 3)
    async with (
        lab.lease(retry_timeout=0, name="") as wanted,
        wanted as held,
        reachable(lab, held.name),
    ):
        assert await connected_echo(held, "hello") == "hello"
        assert lab.controller.dialled == [held.name] * 4
