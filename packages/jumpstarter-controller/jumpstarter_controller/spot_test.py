"""Spot access: granted while nobody else needs the device, and really taken away then."""

from datetime import timedelta

import pytest
from jumpstarter.model.status import ExporterStatus as Status

from jumpstarter_controller.book import Settings
from jumpstarter_controller.conftest import HOUR, NAMESPACE, NOON, Lab, LabMaker, state
from jumpstarter_controller.objects import Client, LeaseChange, PolicyRule


async def people(lab: Lab) -> tuple[Client, Client]:
    """Add a client with normal access and one that has spot access only."""
    normal = PolicyRule(client_selectors=("kind=normal",))
    spot = PolicyRule(client_selectors=("kind=spot",), spot=True)
    await lab.engine.put_policy(NAMESPACE, "p", rules=[normal, spot])
    return await lab.client("ann", kind="normal"), await lab.client("sue", kind="spot")


async def test_a_spot_lease_gives_way_at_once_when_the_exporter_is_ready(lab: Lab) -> None:
    ann, sue = await people(lab)
    await lab.exporter()
    borrowed = await lab.lease(sue, exporter_name="board")
    assert (borrowed.exporter, borrowed.spot) == ("board", True)
    async with lab.engine.watch_exporter(NAMESPACE, "board") as told:
        first = await anext(told)
        assert first is not None
        lease = await lab.lease(ann, exporter_name="board")
        assert (lease.exporter, lease.spot) == ("board", False)
        assert lease.fence > borrowed.fence
        gone = await anext(told)
        assert gone is None
        news = await anext(told)
        assert news is not None
        assert news.lease_name == lease.name
    over = await lab.look(borrowed)
    assert state(over) == ("Ready", False, "Evicted")
    assert "released" in over.conditions[-1].message
    assert "ann" in over.conditions[-1].message


async def test_a_device_in_use_is_handed_over_when_its_exporter_has_cleaned_up(lab: Lab) -> None:
    ann, sue = await people(lab)
    board = await lab.exporter()
    borrowed = await lab.lease(sue, exporter_name="board")
    await lab.report(board, Status.LEASE_READY)
    lease = await lab.lease(ann, exporter_name="board")
    assert state(lease) == ("Pending", True, "NotReady")
    assert state(await lab.look(borrowed)) == ("Ready", False, "Evicted")
    late = await lab.lease(sue, exporter_name="board")
    await lab.report(board, Status.AFTER_LEASE_HOOK)
    await lab.report(board, Status.AVAILABLE)
    assert (await lab.look(lease)).exporter == "board"
    assert state(await lab.look(late))[2] == "NotAvailable"


async def test_only_as_many_are_evicted_as_are_needed(lab: Lab) -> None:
    ann, sue = await people(lab)
    boards = [await lab.exporter(name, type="board") for name in ("a", "b", "c")]
    borrowed = [await lab.lease(sue, "type=board") for _ in boards]
    for board in boards:
        await lab.report(board, Status.LEASE_READY)
    first = await lab.lease(ann, "type=board")
    # The youngest goes first.
    assert [(await lab.look(one)).ended for one in borrowed] == [False, False, True]
    # While its exporter cleans up, other news evict nobody else.
    await lab.report(boards[2], Status.AFTER_LEASE_HOOK)
    await lab.engine.set_exporter(NAMESPACE, "a", labels={"type": "board", "x": "y"})
    assert [(await lab.look(one)).ended for one in borrowed] == [False, False, True]
    second = await lab.lease(ann, "type=board")
    assert [(await lab.look(one)).ended for one in borrowed] == [False, True, True]
    await lab.report(boards[2], Status.AVAILABLE)
    await lab.report(boards[1], Status.AVAILABLE)
    assert {(await lab.look(one)).exporter for one in (first, second)} == {"b", "c"}


async def test_nobody_is_evicted_while_an_exporter_is_free(lab: Lab) -> None:
    ann, sue = await people(lab)
    await lab.exporter("a", type="board")
    borrowed = await lab.lease(sue, "type=board")
    await lab.exporter("b", type="board")
    assert (await lab.lease(ann, "type=board")).exporter == "b"
    assert not (await lab.look(borrowed)).ended


async def test_spot_access_evicts_nobody_and_waits_behind_everybody(lab: Lab) -> None:
    ann, sue = await people(lab)
    await lab.exporter()
    first = await lab.lease(ann, exporter_name="board")
    spot = await lab.lease(sue, exporter_name="board")
    second = await lab.lease(ann, exporter_name="board")
    assert not (await lab.look(first)).ended
    assert lab.engine.queue(spot).position == 2
    assert lab.engine.queue(second).position == 1
    await lab.release(ann, first)
    assert (await lab.look(second)).exporter == "board"
    await lab.release(ann, second)
    assert (await lab.look(spot)).exporter == "board"
    other = await lab.lease(sue, exporter_name="board")
    assert state(other) == ("Pending", True, "NotAvailable")
    assert not (await lab.look(spot)).ended


async def test_a_lease_that_would_be_over_at_once_evicts_nobody(lab: Lab) -> None:
    ann, sue = await people(lab)
    await lab.exporter()
    borrowed = await lab.lease(sue, exporter_name="board")
    late = await lab.lease(ann, exporter_name="board", duration=HOUR, end_time=NOON - HOUR)
    assert (late.ended, late.exporter) == (True, None)
    assert not (await lab.look(borrowed)).ended


async def test_a_scheduled_lease_evicts_when_it_begins(lab: Lab) -> None:
    ann, sue = await people(lab)
    await lab.exporter()
    borrowed = await lab.lease(sue, exporter_name="board", duration=9 * HOUR)
    lease = await lab.lease(ann, exporter_name="board", begin_time=NOON + HOUR, duration=HOUR)
    assert not (await lab.look(borrowed)).ended
    await lab.wait(HOUR)
    assert (await lab.look(lease)).exporter == "board"
    assert state(await lab.look(borrowed)) == ("Ready", False, "Evicted")


async def test_a_spot_lease_handed_to_a_client_with_normal_access_stays(lab: Lab) -> None:
    ann, sue = await people(lab)
    await lab.exporter()
    borrowed = await lab.lease(sue, exporter_name="board")
    lease = await lab.engine.update_lease(
        sue.ref, NAMESPACE, borrowed.name, LeaseChange(client="ann")
    )
    assert not lease.spot
    waiting = await lab.lease(ann, exporter_name="board")
    assert waiting.exporter is None


@pytest.mark.parametrize("spot", [True, False])
async def test_a_lab_may_grant_no_spot_access(open_lab: LabMaker, *, spot: bool) -> None:
    async with open_lab(Settings(spot=spot)) as lab:
        _, sue = await people(lab)
        await lab.exporter()
        lease = await lab.lease(sue, exporter_name="board", duration=timedelta(hours=1))
        expected = ("Ready", True, "Ready") if spot else ("Unsatisfiable", True, "SpotAccess")
        assert state(lease) == expected
