"""Leases from asking to their end; the names begin with the scenario of `e2e.md`."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from jumpstarter.model.status import ExporterStatus as Status

from jumpstarter_controller.conftest import HOUR, NAMESPACE, NOON, Lab, Wanted, state, told
from jumpstarter_controller.errors import InvalidRequest, WrongState
from jumpstarter_controller.objects import LeaseChange, PolicyRule

PENDING = "Pending"
READY = "Ready"


async def test_l1_neither_selector_nor_exporter_is_refused(lab: Lab) -> None:
    ann = await lab.client()
    with pytest.raises(InvalidRequest, match="selector"):
        await lab.lease(ann)
    assert (await lab.engine.list_leases(NAMESPACE, only_active=False)).items == ()


async def test_l2_a_named_exporter_that_is_free_is_granted_at_once(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter("other")
    board = await lab.exporter("board")
    lease = await lab.lease(ann, exporter_name="board")
    assert state(lease) == (READY, True, "Ready")
    assert (lease.exporter, lease.exporter_uid) == ("board", board.uid)
    assert (lease.effective_begin, lease.expires_at) == (NOON, NOON + HOUR)


@pytest.mark.parametrize(
    ("selector", "name", "reason"),
    [
        ("", "missing", "ExporterNotFound"),
        ("type=phone", "board", "SelectorMismatch"),
        ("type=board", "board", "ExporterDisabled"),
    ],
)
async def test_l3_a_named_exporter_that_cannot_be_had(
    lab: Lab, selector: str, name: str, reason: str
) -> None:
    ann = await lab.client()
    await lab.exporter("board", type="board")
    await lab.engine.set_exporter(NAMESPACE, "board", enabled=False)
    lease = await lab.lease(ann, selector, exporter_name=name)
    assert state(lease) == ("Unsatisfiable", True, reason)
    assert lease.ended
    assert await lab.look(lease) == lease


async def test_l3_a_disabled_exporter_is_had_by_who_allows_it(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter("board")
    await lab.engine.set_exporter(NAMESPACE, "board", enabled=False)
    refused = await lab.lease(ann, exporter_name="board")
    assert "allow_disabled" in refused.conditions[-1].message
    lease = await lab.lease(ann, exporter_name="board", allow_disabled=True)
    assert state(lease) == (READY, True, "Ready")


async def test_l4_a_selector_finds_only_enabled_exporters(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter("a", type="board")
    await lab.exporter("b", type="board")
    await lab.engine.set_exporter(NAMESPACE, "a", enabled=False)
    first = await lab.lease(ann, "type=board", allow_disabled=True)
    assert first.exporter == "b"
    await lab.engine.set_exporter(NAMESPACE, "b", enabled=False)
    assert not (await lab.look(first)).ended
    second = await lab.lease(ann, "type=board", allow_disabled=True)
    assert state(second) == ("Unsatisfiable", True, "AllDisabled")


async def test_l5_a_selector_that_matches_nothing_is_refused_at_once(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter(type="board")
    lease = await lab.lease(ann, "type=phone")
    assert state(lease) == ("Unsatisfiable", True, "NoAccess")
    assert (lease.ended, lease.effective_begin) == (True, None)


async def test_l6_offline_exporters_are_waited_for_and_online_ones_preferred(lab: Lab) -> None:
    ann = await lab.client()
    away = await lab.exporter("a", None, type="board")
    lease = await lab.lease(ann, "type=board")
    assert state(lease) == (PENDING, True, "Offline")
    await lab.exporter("b", type="board")
    assert (await lab.look(lease)).exporter == "b"
    other = await lab.lease(ann, "type=board")
    assert state(other) == (PENDING, True, "NotAvailable")
    await lab.report(away, Status.AVAILABLE)
    assert (await lab.look(other)).exporter == "a"


@pytest.mark.parametrize("status", [Status.AFTER_LEASE_HOOK, Status.BEFORE_LEASE_HOOK_FAILED])
async def test_l7_an_exporter_that_is_not_ready_is_waited_for(lab: Lab, status: Status) -> None:
    ann = await lab.client()
    board = await lab.exporter("a", status, type="board")
    lease = await lab.lease(ann, "type=board")
    assert state(lease) == (PENDING, True, "NotReady")
    await lab.report(board, Status.AVAILABLE)
    assert (await lab.look(lease)).exporter == "a"


async def test_l7_of_several_the_one_that_is_ready_is_granted(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter("a", Status.AFTER_LEASE_HOOK, type="board")
    await lab.exporter("b", type="board")
    assert (await lab.lease(ann, "type=board")).exporter == "b"


async def test_l7_an_exporter_that_never_reports_is_ready_once_it_listens(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter("old", None)
    async with lab.engine.watch_exporter(NAMESPACE, "old"):
        assert (await lab.lease(ann, exporter_name="old")).exporter == "old"


@pytest.mark.parametrize("end", ["release", "expiry"])
async def test_l8_a_busy_exporter_is_had_when_the_lease_before_ends(lab: Lab, end: str) -> None:
    ann, ben = await lab.client("ann"), await lab.client("ben")
    await lab.exporter()
    first = await lab.lease(ann, exporter_name="board")
    second = await lab.lease(ben, exporter_name="board")
    assert state(second) == (PENDING, True, "NotAvailable")
    if end == "release":
        await lab.release(ann, first)
    else:
        await lab.wait(HOUR)
    second = await lab.look(second)
    assert (second.exporter, state(second)) == ("board", (READY, True, "Ready"))
    assert told(second, PENDING) is not None
    assert (await lab.look(first)).ended


async def test_l9_a_lease_runs_out(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board")
    await lab.wait(HOUR - timedelta(microseconds=1))
    assert not (await lab.look(lease)).ended
    await lab.wait(timedelta(microseconds=1))
    lease = await lab.look(lease)
    assert state(lease) == (READY, False, "Expired")
    assert lease.effective_end == NOON + HOUR
    assert lease.exporter == "board"
    assert not lease.released


async def test_l9_a_lease_is_released_at_once(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board")
    lease = await lab.release(ann, lease)
    assert state(lease) == (READY, False, "Released")
    assert (lease.ended, lease.released) == (True, True)
    assert (await lab.lease(ann, exporter_name="board")).exporter == "board"


async def test_l10_policies_that_admit_nobody_list_what_they_say(lab: Lab) -> None:
    ann = await lab.client(team="a")
    await lab.exporter(type="board")
    rules = [
        PolicyRule(description="team b only", client_selectors=("team=b",)),
        PolicyRule(description="", client_selectors=("team=c",)),
        PolicyRule(description="nobody at all"),
        PolicyRule(
            description="briefly", client_selectors=("",), maximum_duration=timedelta(minutes=5)
        ),
    ]
    await lab.engine.put_policy(NAMESPACE, "boards", rules=rules)
    lease = await lab.lease(ann, "type=board")
    assert state(lease) == ("Unsatisfiable", True, "NoAccess")
    assert lease.conditions[-1].message.endswith("team b only, nobody at all, briefly")


async def test_l10_exporters_that_no_policy_selects_cannot_be_leased(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter("a", type="board")
    await lab.exporter("b", type="phone")
    rule = PolicyRule(client_selectors=("",))
    await lab.engine.put_policy(NAMESPACE, "p", exporter_selector="type=phone", rules=[rule])
    assert state(await lab.lease(ann, "type=board"))[2] == "NoAccess"
    assert (await lab.lease(ann, "type")).exporter == "b"


async def test_l10_the_highest_priority_then_the_name_decides(lab: Lab) -> None:
    ann = await lab.client()
    for name, tier in (("d", "low"), ("c", "high"), ("b", "high"), ("a", "spot")):
        await lab.exporter(name, type="board", tier=tier)
    for tier, priority, spot in (("low", 1, False), ("high", 5, False), ("spot", 9, True)):
        rule = PolicyRule(priority=priority, client_selectors=("",), spot=spot)
        await lab.engine.put_policy(NAMESPACE, tier, exporter_selector=f"tier={tier}", rules=[rule])
    got = [await lab.lease(ann, "type=board") for _ in range(4)]
    assert [one.exporter for one in got] == ["b", "c", "d", "a"]
    assert [(one.priority, one.spot) for one in got] == [
        (5, False),
        (5, False),
        (1, False),
        (9, True),
    ]


async def test_l10_of_several_rules_the_best_admits(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    rules = [
        PolicyRule(priority=9, client_selectors=("",), spot=True),
        PolicyRule(priority=1, client_selectors=("",)),
        PolicyRule(priority=5, client_selectors=("",)),
        PolicyRule(priority=7, client_selectors=("",), maximum_duration=HOUR / 2),
    ]
    await lab.engine.put_policy(NAMESPACE, "p", rules=rules)
    lease = await lab.lease(ann, exporter_name="board")
    assert (lease.priority, lease.spot) == (5, False)


async def test_l11_begin_and_duration_waits_for_its_begin(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board", begin_time=NOON + HOUR, duration=HOUR)
    assert (lease.conditions, lease.exporter) == ((), None)
    await lab.wait(HOUR)
    lease = await lab.look(lease)
    assert (lease.effective_begin, lease.expires_at) == (NOON + HOUR, NOON + 2 * HOUR)
    await lab.wait(HOUR)
    assert state(await lab.look(lease)) == (READY, False, "Expired")


async def test_l11_the_third_of_begin_duration_and_end_is_worked_out(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    later, latest = NOON + HOUR, NOON + 3 * HOUR
    one = await lab.lease(ann, exporter_name="board", begin_time=later, end_time=latest)
    assert one.duration == 2 * HOUR
    two = await lab.lease(ann, exporter_name="board", duration=HOUR, end_time=latest)
    assert two.begin_time == NOON + 2 * HOUR
    three = await lab.lease(
        ann, exporter_name="board", begin_time=later, end_time=latest, duration=2 * HOUR
    )
    assert three.duration == 2 * HOUR


async def test_l11_a_begin_in_the_past_that_follows_starts_at_once(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board", duration=2 * HOUR, end_time=NOON + HOUR)
    assert (lease.begin_time, lease.effective_begin) == (NOON - HOUR, NOON)
    assert lease.expires_at == NOON + HOUR


@pytest.mark.parametrize(
    "times",
    [
        {"begin_time": NOON, "end_time": NOON + HOUR, "duration": 2 * HOUR},
        {"begin_time": NOON + HOUR, "end_time": NOON},
        {"begin_time": NOON, "end_time": NOON},
        {"duration": timedelta()},
        {"duration": -HOUR},
        {"begin_time": NOON},
        {"end_time": NOON + HOUR},
        {"duration": timedelta(days=1_000_000)},
        {"duration": HOUR, "begin_time": NOON.replace(year=9999)},
        {"duration": None},
    ],
)
async def test_l11_and_l12_times_that_do_not_fit_are_refused(lab: Lab, times: Wanted) -> None:
    ann = await lab.client()
    await lab.exporter()
    with pytest.raises(InvalidRequest):
        await lab.lease(ann, exporter_name="board", **times)


async def test_l12_an_end_in_the_past_is_granted_and_over_in_one_step(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board", duration=HOUR, end_time=NOON - HOUR)
    assert state(lease) == (READY, False, "Expired")
    assert (lease.exporter, lease.effective_end) == ("board", NOON)
    assert (await lab.lease(ann, exporter_name="board")).exporter == "board"


async def test_l12_a_begin_in_the_past_starts_at_once(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board", begin_time=NOON - HOUR / 2, duration=HOUR)
    assert (lease.effective_begin, lease.expires_at) == (NOON, NOON + HOUR / 2)


async def test_l13_the_second_of_two_scheduled_leases_follows_the_first(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    times: Wanted = {"begin_time": NOON + HOUR, "duration": HOUR}
    first = await lab.lease(ann, exporter_name="board", **times)
    second = await lab.lease(ann, exporter_name="board", **times)
    await lab.wait(HOUR)
    assert ((await lab.look(first)).exporter, (await lab.look(second)).exporter) == ("board", None)
    await lab.release(ann, first)
    assert (await lab.look(second)).exporter == "board"


@pytest.mark.parametrize("begin", [NOON + HOUR, NOON - HOUR / 2])
async def test_l14_a_lease_released_before_it_starts_ends_without_exporter(
    lab: Lab, begin: datetime
) -> None:
    ann = await lab.client()
    await lab.exporter()
    await lab.lease(ann, exporter_name="board")
    lease = await lab.lease(ann, exporter_name="board", begin_time=begin, duration=2 * HOUR)
    lease = await lab.release(ann, lease)
    assert state(lease) == (READY, False, "Released")
    assert (lease.exporter, lease.effective_begin) == (None, None)
    await lab.wait(2 * HOUR)
    assert (await lab.look(lease)).exporter is None


async def test_l15_the_begin_of_a_lease_that_has_begun_stays(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board", begin_time=NOON, duration=HOUR)
    with pytest.raises(WrongState, match="begin"):
        await _update(lab, lease.name, begin_time=NOON + HOUR)
    same = await _update(lab, lease.name, begin_time=NOON)
    assert same == lease


async def test_l15_a_lease_is_extended_and_shortened(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board")
    await _update(lab, lease.name, duration=2 * HOUR)
    await lab.wait(HOUR)
    assert not (await lab.look(lease)).ended
    changed = await _update(lab, lease.name, end_time=NOON + 3 * HOUR)
    assert (changed.duration, changed.expires_at) == (3 * HOUR, NOON + 3 * HOUR)
    await lab.wait(HOUR)
    assert not (await lab.look(lease)).ended
    over = await _update(lab, lease.name, end_time=NOON + HOUR)
    assert state(over) == (READY, False, "Expired")
    assert over.effective_end == NOON + 2 * HOUR


async def test_l15_a_begin_moved_into_the_past_starts_the_lease(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board", begin_time=NOON + HOUR, duration=2 * HOUR)
    lease = await _update(lab, lease.name, begin_time=NOON - HOUR)
    assert (lease.exporter, lease.expires_at) == ("board", NOON + HOUR)


async def test_l16_effective_duration_grows_until_the_end(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board")
    assert lease.effective_duration(NOON) == timedelta()
    await lab.wait(HOUR / 2)
    assert lease.effective_duration(lab.clock.now()) == HOUR / 2
    lease = await lab.release(ann, lease)
    assert lease.effective_duration(NOON + 9 * HOUR) == HOUR / 2


async def test_l17_leases_that_wait_in_vain_do_not_delay_others(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter("away", None, type="away")
    hopeless = [await lab.lease(ann, f"type=away,!x{number}") for number in range(200)]
    await lab.exporter("board", type="board")
    assert (await lab.lease(ann, "type=board")).exporter == "board"
    assert all([state(await lab.look(one))[2] == "Offline" for one in hopeless])


async def _update(lab: Lab, name: str, **change: Any):
    ann = await lab.engine.get_client(NAMESPACE, "ann")
    wanted = LeaseChange(**change)
    return await lab.engine.update_lease(ann.ref, NAMESPACE, name, wanted)
