"""Exporters: what they report, when they count as online, and what they are told."""

from datetime import timedelta

import anyio
import pytest
from jumpstarter.model.status import ExporterStatus as Status

from jumpstarter_controller.conftest import HOUR, NAMESPACE, NOON, Lab, LabMaker, state
from jumpstarter_controller.errors import InvalidRequest, NotFound, WrongState
from jumpstarter_controller.objects import Device, ExporterLease, LeaseChange

MINUTE = timedelta(minutes=1)


async def test_a_new_exporter_is_offline_and_not_registered(lab: Lab) -> None:
    board = await lab.engine.create_exporter(NAMESPACE, "board")
    assert (board.online, board.registered, board.status, board.last_seen) == (
        False,
        False,
        None,
        None,
    )


async def test_registering_sets_its_own_labels_only(lab: Lab) -> None:
    board = await lab.exporter("board", site="a")
    await lab.engine.register(board.ref, {"jumpstarter.dev/name": "x", "site": "b"}, [])
    found = await lab.engine.get_exporter(NAMESPACE, "board")
    assert found.labels == {"jumpstarter.dev/name": "x", "site": "a"}
    assert not found.registered
    device = Device(uuid="d", parent_uuid="r", labels={"jumpstarter.dev/client": "x.y.Z"})
    await lab.engine.register(board.ref, {}, [device])
    found = await lab.engine.get_exporter(NAMESPACE, "board")
    assert (found.labels, found.devices) == ({"site": "a"}, (device,))
    with pytest.raises(InvalidRequest, match="label"):
        await lab.engine.register(board.ref, {"jumpstarter.dev/name": "a b"}, [])


async def test_an_administrator_changes_all_labels_but_those_that_it_registers(lab: Lab) -> None:
    board = await lab.exporter("board", site="a")
    await lab.engine.register(board.ref, {"jumpstarter.dev/name": "x"}, [])
    labels = {"jumpstarter.dev/name": "y", "room": "b"}
    changed = await lab.engine.set_exporter(NAMESPACE, "board", labels=labels)
    assert changed.labels == {"jumpstarter.dev/name": "x", "room": "b"}


@pytest.mark.parametrize("reason", ["", "going home"])
async def test_s5_unregister(lab: Lab, reason: str) -> None:
    board = await lab.exporter()
    await lab.engine.unregister(board.ref, reason)
    found = await lab.engine.get_exporter(NAMESPACE, "board")
    assert found.status is Status.OFFLINE
    assert found.status_message == (reason or "the exporter has unregistered")
    assert (found.online, found.registered) == (False, False)
    assert found.last_seen == board.last_seen
    await lab.engine.unregister(board.ref, reason)


async def test_s5_leases_outlast_an_unregistered_exporter(lab: Lab) -> None:
    ann, board = await lab.client(), await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board")
    await lab.engine.unregister(board.ref)
    assert await lab.look(lease) == lease


async def test_s6_release_by_the_exporter(lab: Lab) -> None:
    ann, board, other = await lab.client(), await lab.exporter(), await lab.exporter("other")
    lease = await lab.lease(ann, exporter_name="board")
    waiting = await lab.lease(ann, exporter_name="board")
    with pytest.raises(WrongState, match="not held"):
        await lab.engine.exporter_release(other.ref, lease.name)
    with pytest.raises(WrongState, match="not held"):
        await lab.engine.exporter_release(board.ref, waiting.name)
    with pytest.raises(NotFound):
        await lab.engine.exporter_release(board.ref, "none")
    released = await lab.engine.exporter_release(board.ref, lease.name)
    assert state(released) == ("Ready", False, "Released")
    assert await lab.engine.exporter_release(board.ref, lease.name) == released
    assert (await lab.look(waiting)).exporter == "board"
    await lab.wait(HOUR)
    ended = await lab.engine.exporter_release(board.ref, waiting.name)
    assert state(ended) == ("Ready", False, "Expired")


async def test_a_status_may_release_the_lease(lab: Lab) -> None:
    ann, board = await lab.client(), await lab.exporter()
    report = lab.engine.report_status
    await report(board.ref, Status.AVAILABLE, release_lease=True)
    lease = await lab.lease(ann, exporter_name="board")
    await report(board.ref, Status.AVAILABLE)
    assert not (await lab.look(lease)).ended
    await report(board.ref, Status.AFTER_LEASE_HOOK, release_lease=True)
    assert (await lab.look(lease)).released
    assert state(await lab.lease(ann, exporter_name="board"))[2] == "NotReady"


@pytest.mark.parametrize("status", list(Status))
async def test_what_each_status_says_about_being_online(lab: Lab, status: Status) -> None:
    await lab.exporter("board", status)
    found = await lab.engine.get_exporter(NAMESPACE, "board")
    assert found.online == (status not in (Status.OFFLINE, Status.UNSPECIFIED))
    assert (found.status, found.last_seen) == (status, NOON)


async def test_an_exporter_that_falls_silent_is_offline_after_a_minute(lab: Lab) -> None:
    ann, board = await lab.client(), await lab.exporter()
    await lab.wait(MINUTE - timedelta(microseconds=1), silence=True)
    await lab.engine.seen(board.ref)
    await lab.wait(MINUTE - timedelta(microseconds=1), silence=True)
    assert (await lab.engine.get_exporter(NAMESPACE, "board")).online
    await lab.wait(timedelta(microseconds=1), silence=True)
    found = await lab.engine.get_exporter(NAMESPACE, "board")
    assert (found.online, found.status) == (False, Status.OFFLINE)
    assert "lost" in found.status_message
    assert state(await lab.lease(ann, exporter_name="board"))[2] == "Offline"


async def test_an_exporter_that_was_only_silent_is_back_when_it_is_heard(lab: Lab) -> None:
    ann, board = await lab.client(), await lab.exporter()
    await lab.wait(2 * MINUTE, silence=True)
    lease = await lab.lease(ann, exporter_name="board")
    await lab.engine.seen(board.ref)
    found = await lab.engine.get_exporter(NAMESPACE, "board")
    assert (found.online, found.status, found.status_message) == (True, None, "")
    assert (await lab.look(lease)).exporter == "board"


async def test_an_exporter_that_left_is_not_brought_back_by_its_open_stream(lab: Lab) -> None:
    board = await lab.exporter()
    await lab.report(board, Status.OFFLINE)
    await lab.wait(timedelta(seconds=10))
    await lab.engine.seen(board.ref)
    found = await lab.engine.get_exporter(NAMESPACE, "board")
    assert (found.online, found.last_seen) == (False, NOON + timedelta(seconds=10))
    async with lab.engine.watch_exporter(NAMESPACE, "board"):
        found = await lab.engine.get_exporter(NAMESPACE, "board")
        assert (found.online, found.status) == (True, None)


async def test_after_a_restart_exporters_have_a_minute_to_come_back(open_lab: LabMaker) -> None:
    async with open_lab() as lab:
        await lab.exporter()
    lab.clock.advance(HOUR)
    async with open_lab() as lab:
        await lab.wait(MINUTE / 2, silence=True)
        assert (await lab.engine.get_exporter(NAMESPACE, "board")).online
        await lab.wait(MINUTE / 2, silence=True)
        assert not (await lab.engine.get_exporter(NAMESPACE, "board")).online


async def test_when_it_was_last_seen_survives_a_restart(open_lab: LabMaker) -> None:
    async with open_lab() as lab:
        board = await lab.exporter()
        lab.clock.advance(timedelta(seconds=20))
        await lab.engine.seen(board.ref)
    async with open_lab() as lab:
        found = await lab.engine.get_exporter(NAMESPACE, "board")
        assert found.last_seen == NOON + timedelta(seconds=20)


async def test_an_exporter_is_told_at_once_and_then_of_each_change(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    async with lab.engine.watch_exporter(NAMESPACE, "board") as told:
        assert await anext(told) is None
        lease = await lab.lease(ann, exporter_name="board", context={"a": "b"})
        assert await anext(told) == ExporterLease(
            lease_name=lease.name, client_name="ann", context={"a": "b"}, fence=lease.fence
        )
        await lab.engine.update_lease(
            ann.ref, NAMESPACE, lease.name, LeaseChange(duration=2 * HOUR)
        )
        await lab.release(ann, lease)
        assert await anext(told) is None


async def test_between_two_leases_an_exporter_is_always_told_of_none(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    names: list[str | None] = []
    async with lab.engine.watch_exporter(NAMESPACE, "board") as told:
        leases = [await lab.lease(ann, exporter_name="board") for _ in range(3)]
        first = await anext(told)
        names.append(first and first.lease_name)
        await lab.release(ann, leases[0])
        for _ in range(2):
            news = await anext(told)
            names.append(news and news.lease_name)
        await lab.release(ann, leases[1])
        for _ in range(2):
            news = await anext(told)
            names.append(news and news.lease_name)
    assert names == [leases[0].name, None, leases[1].name, None, leases[2].name]


async def test_watching_ends_when_the_exporter_is_deleted(lab: Lab) -> None:
    await lab.exporter()
    async with lab.engine.watch_exporter(NAMESPACE, "board") as told:
        assert await anext(told) is None
        await lab.engine.delete_exporter(NAMESPACE, "board")
        await lab.exporter()
        with anyio.fail_after(5), pytest.raises(StopAsyncIteration):
            await anext(told)


async def test_an_exporter_that_took_the_name_of_another_is_another(lab: Lab) -> None:
    old = await lab.exporter()
    await lab.engine.delete_exporter(NAMESPACE, "board")
    new = await lab.exporter()
    assert old.uid != new.uid
    with pytest.raises(NotFound):
        await lab.engine.report_status(old.ref, Status.AVAILABLE)
    assert await lab.engine.get_exporter(NAMESPACE, "board") == new


async def test_deleting_an_exporter_deletes_its_leases(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter("a", type="board")
    ended = await lab.release(ann, await lab.lease(ann, exporter_name="a"))
    live = await lab.lease(ann, exporter_name="a")
    waiting = await lab.lease(ann, exporter_name="a")
    await lab.engine.delete_exporter(NAMESPACE, "a")
    for gone in (ended, live):
        with pytest.raises(NotFound):
            await lab.look(gone)
    assert state(await lab.look(waiting)) == ("Unsatisfiable", True, "ExporterNotFound")


async def test_the_exporter_itself_can_be_watched(lab: Lab) -> None:
    board = await lab.exporter()
    async with lab.engine.watch_exporter_state(NAMESPACE, "board") as states:
        assert (await anext(states)).status is Status.AVAILABLE
        await lab.report(board, Status.LEASE_READY)
        assert (await anext(states)).status is Status.LEASE_READY
