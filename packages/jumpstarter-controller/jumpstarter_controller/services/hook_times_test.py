"""Clients do not dial into a hook that takes longer than they wait."""

from datetime import UTC, datetime, timedelta

import pytest
from jumpstarter.model.status import ExporterStatus as Status
from jumpstarter_protocol import client_pb2

from jumpstarter_controller.services.conftest import Site
from jumpstarter_controller.services.hook_times import HookTimes

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize("end", [Status.LEASE_READY, Status.AVAILABLE, Status.OFFLINE])
def test_a_long_hook_is_remembered_however_it_ends(end: Status) -> None:
    times = HookTimes()
    times.reported("a", Status.BEFORE_LEASE_HOOK, NOON)
    assert not times.slow("a")
    times.reported("a", Status.BEFORE_LEASE_HOOK, after(8))
    times.reported("a", end, after(11))

    assert times.slow("a")
    assert not times.slow("b")


def test_a_short_one_makes_good_for_it() -> None:
    times = HookTimes()
    for length in (11, 9):
        times.reported("a", Status.BEFORE_LEASE_HOOK, NOON)
        times.reported("a", Status.LEASE_READY, after(length))
        times.reported("a", Status.AVAILABLE, after(1000))

    assert not times.slow("a")


def shown(lease: client_pb2.Lease) -> list[tuple[str, str, str]]:
    return [(item.type, item.status, item.reason) for item in lease.conditions]


READY = [("Ready", "True", "Ready")]
NOT_READY = [("Pending", "True", "NotReady")]


async def ran_a_hook(site: Site, seconds: float) -> None:
    exporter = await site.controller.engine.get_exporter("lab", "board")
    site.controller.hook_times.reported(exporter.uid, Status.BEFORE_LEASE_HOOK, NOON)
    site.controller.hook_times.reported(exporter.uid, Status.LEASE_READY, after(seconds))


async def test_a_lease_is_shown_ready_when_the_slow_exporter_is(site: Site) -> None:
    ann, board = await site.new_client(), await site.new_exporter()
    await ran_a_hook(site, 30)
    lease = await site.lease(ann)
    steps: list[list[tuple[str, str, str]]] = [shown(await site.get(ann, lease))]
    for status in (Status.BEFORE_LEASE_HOOK, Status.LEASE_READY):
        await site.report(board, status)
        steps.append(shown(await site.get(ann, lease)))

    # Who can wait in the tunnel is told at once that there is an exporter.
    assert shown(lease) == READY
    assert steps == [NOT_READY, NOT_READY, READY]


@pytest.mark.parametrize("status", [Status.BEFORE_LEASE_HOOK_FAILED, Status.OFFLINE])
async def test_a_hook_that_failed_is_for_the_client_to_see(site: Site, status: Status) -> None:
    ann, board = await site.new_client(), await site.new_exporter()
    await ran_a_hook(site, 30)
    lease = await site.lease(ann)
    await site.report(board, status)

    assert shown(await site.get(ann, lease)) == READY


async def test_a_quick_exporter_is_dialled_while_its_hook_runs(site: Site) -> None:
    ann, board = await site.new_client(), await site.new_exporter()
    await ran_a_hook(site, 3)
    lease = await site.lease(ann)
    await site.report(board, Status.BEFORE_LEASE_HOOK)

    assert shown(await site.get(ann, lease)) == READY


async def test_others_and_the_ended_see_a_lease_as_it_is(site: Site) -> None:
    ann, bob = await site.new_client(), await site.new_client("bob")
    await site.new_exporter()
    await ran_a_hook(site, 30)
    lease = await site.lease(ann)
    assert shown(await site.get(bob, lease)) == READY
    await site.client.DeleteLease(client_pb2.DeleteLeaseRequest(name=lease.name), metadata=ann)

    assert shown(await site.get(ann, lease)) == [("Ready", "False", "Released")]
