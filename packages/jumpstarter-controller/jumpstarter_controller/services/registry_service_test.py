"""Routers are chosen while they report, and are told which streams to cut."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import grpc
import pytest
from grpc.aio import StreamStreamCall
from jumpstarter.model.status import ExporterStatus as Status
from jumpstarter_protocol import admin_pb2, client_pb2

from jumpstarter_controller.keys import key_set
from jumpstarter_controller.objects import Router
from jumpstarter_controller.services.conftest import PARENT, Metadata, Site, bare, metadata, refusal
from jumpstarter_controller.services.routing import best_routers

Call = StreamStreamCall[admin_pb2.RouterReport, admin_pb2.RouterOrders]
REPORT = admin_pb2.RouterReport(endpoint="router.example.com:8083", streams=3)


async def new_router(site: Site, name: str = "one") -> Metadata:
    request = admin_pb2.CreateRouterRequest(parent=PARENT, router_id=name)
    made = await site.admin.CreateRouter(request, metadata=site.root)
    return metadata(made.token, "Router", name)


@asynccontextmanager
async def registered(site: Site, who: Metadata) -> AsyncGenerator[Call]:
    """Yield the call of a router whose first report was taken in."""
    call = site.registry.Register(metadata=who)
    await orders(call)
    await call.write(REPORT)
    await until(site, there=True)
    try:
        yield call
    finally:
        call.cancel()


async def orders(call: Call) -> admin_pb2.RouterOrders:
    with anyio.fail_after(10):
        told = await call.read()
    assert isinstance(told, admin_pb2.RouterOrders)
    return told


async def until(site: Site, *, there: bool) -> None:
    """Wait until a router is there, or is not."""
    with anyio.fail_after(10):
        while bool(await site.controller.engine.routers()) is not there:  # noqa: ASYNC110 - a report has no answer
            await anyio.sleep(0.01)


async def test_the_first_orders_have_the_keys_and_the_interval(site: Site) -> None:
    call = site.registry.Register(metadata=await new_router(site))
    told = await orders(call)

    assert told.jwks == key_set([site.controller.stream_key])
    assert json.loads(told.jwks)["keys"]
    assert told.report_interval.ToSeconds() == 10
    call.cancel()


async def test_a_router_is_there_from_its_report_until_its_call_ends(site: Site) -> None:
    async with registered(site, await new_router(site)):
        (router,) = await site.controller.engine.routers()
        assert (router.name, router.endpoint, router.load) == ("one", REPORT.endpoint, 3)
    await until(site, there=False)


async def test_a_router_that_drains_is_not_chosen(site: Site) -> None:
    async with registered(site, await new_router(site)) as call:
        await call.write(admin_pb2.RouterReport(endpoint=REPORT.endpoint, draining=True))
        await until(site, there=False)


async def test_a_router_that_connects_again_is_not_taken_for_gone(site: Site) -> None:
    who = await new_router(site)
    async with registered(site, who) as old, registered(site, who):
        old.cancel()
        with anyio.fail_after(10):
            await old.code()
        # The next call is answered after what the old one leaves behind.
        await site.admin.ListRouters(
            admin_pb2.ListRoutersRequest(parent=PARENT), metadata=site.root
        )
        assert await site.controller.engine.routers()


async def test_a_router_that_is_deleted_is_cut_off(site: Site) -> None:
    async with registered(site, await new_router(site)) as call:
        await site.admin.DeleteRouter(
            admin_pb2.DeleteRouterRequest(name=f"{PARENT}/routers/one"), metadata=site.root
        )
        assert not await site.controller.engine.routers()
        await call.write(REPORT)
        assert "not found" in (await refusal(call.read()))[1]
    assert not await site.controller.engine.routers()


@pytest.mark.parametrize(
    "report",
    [
        admin_pb2.RouterReport(),
        admin_pb2.RouterReport(endpoint="https://router"),
        admin_pb2.RouterReport(endpoint="router"),
        admin_pb2.RouterReport(endpoint="router:99999"),
        admin_pb2.RouterReport(endpoint="router:1", labels={"a b": "c"}),
    ],
)
async def test_reports_that_cannot_be(site: Site, report: admin_pb2.RouterReport) -> None:
    call = site.registry.Register(metadata=await new_router(site))
    await orders(call)
    await call.write(report)

    assert (await refusal(call.read()))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def dialled(site: Site) -> tuple[Metadata, client_pb2.Lease]:
    ann = await site.new_client()
    board = await site.new_exporter()
    lease = await site.lease(ann)
    await site.report(board, Status.LEASE_READY)
    async with site.listening(board, lease):
        await site.dial(ann, lease)
    return ann, lease


async def test_the_streams_of_a_lease_are_cut_when_it_is_handed_on_and_when_it_ends(
    site: Site,
) -> None:
    await site.new_client("bob")
    async with registered(site, await new_router(site)) as call:
        ann, lease = await dialled(site)
        await site.client.UpdateLease(
            client_pb2.UpdateLeaseRequest(
                lease=client_pb2.Lease(name=lease.name, client=f"{PARENT}/clients/bob")
            ),
            metadata=ann,
        )
        (first,) = (await orders(call)).ended_leases
        await site.admin.ReleaseLease(
            admin_pb2.ReleaseLeaseRequest(name=lease.name), metadata=site.root
        )
        (second,) = (await orders(call)).ended_leases

    assert first.name == second.name == bare(lease)
    assert second.fence > first.fence > 0


async def test_the_streams_of_a_lease_are_cut_when_its_exporter_is_deleted(site: Site) -> None:
    async with registered(site, await new_router(site)) as call:
        _, lease = await dialled(site)
        await site.admin.DeleteExporter(
            admin_pb2.DeleteExporterRequest(name=f"{PARENT}/exporters/board"), metadata=site.root
        )
        (ended,) = (await orders(call)).ended_leases

    assert ended.name == bare(lease)


def router(name: str, load: float = 0, **labels: str) -> Router:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Router(name=name, endpoint=f"{name}:1", labels=labels, last_seen=now, load=load)


@pytest.mark.parametrize(
    ("routers", "sent", "best"),
    [
        ([], {}, []),
        ([router("a"), router("b")], {}, ["a", "b"]),
        ([router("a", 5), router("b", 4)], {}, ["b"]),
        ([router("a", 5), router("b", 4)], {"b": 2}, ["a"]),
        ([router("a", 0), router("b", 9, site="x")], {}, ["b"]),
        ([router("a", 0), router("b", 9, site="y")], {}, ["a"]),
        ([router("a", 0, site="x"), router("b", 9, site="x", rack="1")], {}, ["b"]),
    ],
)
def test_labels_decide_before_load(
    routers: list[Router], sent: dict[str, int], best: list[str]
) -> None:
    labels = {"site": "x", "rack": "1", "board": "rpi4"}

    assert [item.name for item in best_routers(routers, labels, sent)] == best
