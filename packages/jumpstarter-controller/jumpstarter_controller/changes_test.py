"""Updates: what may be changed, what follows, what is refused and leaves everything as it was."""

from datetime import timedelta
from typing import Any

import pytest

from jumpstarter_controller.conftest import HOUR, NAMESPACE, NOON, Lab, Wanted, state
from jumpstarter_controller.errors import Forbidden, InvalidRequest, LabError, NotFound, WrongState
from jumpstarter_controller.objects import Client, Lease, LeaseChange, PolicyRule

SCHEDULED: Wanted = {"begin_time": NOON + HOUR, "end_time": NOON + 3 * HOUR}


async def change(lab: Lab, lease: Lease, caller: Client | None = None, **wanted: Any) -> Lease:
    caller = caller or await lab.engine.get_client(NAMESPACE, "ann")
    request = LeaseChange(**wanted)
    return await lab.engine.update_lease(caller.ref, NAMESPACE, lease.name, request)


@pytest.mark.parametrize(
    ("asked", "wanted", "times"),
    [
        # (duration, begin, end) in hours after noon
        ({}, {"duration": 2 * HOUR}, (2, None, None)),
        ({}, {"begin_time": NOON + HOUR}, (1, 1, None)),
        ({}, {"end_time": NOON + 5 * HOUR}, (1, 4, 5)),
        ({}, {"duration": 2 * HOUR, "end_time": NOON + 5 * HOUR}, (2, 3, 5)),
        (SCHEDULED, {"end_time": NOON + 5 * HOUR}, (4, 1, 5)),
        (SCHEDULED, {"begin_time": NOON + 2 * HOUR}, (1, 2, 3)),
        (SCHEDULED, {"begin_time": NOON, "end_time": NOON + HOUR / 2}, (0.5, 0, 0.5)),
        (SCHEDULED, {"end_time": None}, (2, 1, None)),
        (SCHEDULED, {"end_time": None, "duration": HOUR}, (1, 1, None)),
        (SCHEDULED, {"begin_time": None, "duration": HOUR}, (1, 2, 3)),
        (SCHEDULED, {"duration": 2 * HOUR}, (2, 1, 3)),
        (SCHEDULED, {}, (2, 1, 3)),
    ],
)
async def test_a_lease_that_waits_takes_new_times(
    lab: Lab,
    asked: Wanted,
    wanted: Wanted,
    times: tuple[float, float | None, float | None],
) -> None:
    ann = await lab.client()
    await lab.exporter()
    await lab.lease(ann, exporter_name="board", duration=24 * HOUR)
    lease = await lab.lease(ann, exporter_name="board", **asked)
    changed = await change(lab, lease, **wanted)
    duration, begin, end = times
    assert changed.duration == duration * HOUR
    assert changed.begin_time == (None if begin is None else NOON + begin * HOUR)
    assert changed.end_time == (None if end is None else NOON + end * HOUR)
    assert await lab.look(lease) == changed


@pytest.mark.parametrize(
    ("asked", "wanted", "error"),
    [
        (SCHEDULED, {"duration": HOUR}, InvalidRequest),
        (SCHEDULED, {"end_time": NOON + HOUR}, InvalidRequest),
        (SCHEDULED, {"begin_time": NOON + 3 * HOUR}, InvalidRequest),
        ({}, {"duration": timedelta()}, InvalidRequest),
        ({}, {"duration": None}, InvalidRequest),
        ({}, {"duration": timedelta(days=400 * 366)}, InvalidRequest),
        ({}, {"end_time": NOON.replace(year=5000)}, InvalidRequest),
        ({}, {"client": "ben"}, WrongState),
    ],
)
async def test_times_that_do_not_fit_are_refused_and_change_nothing(
    lab: Lab, asked: Wanted, wanted: Wanted, error: type[LabError]
) -> None:
    ann = await lab.client()
    await lab.client("ben")
    await lab.exporter()
    await lab.lease(ann, exporter_name="board", duration=24 * HOUR)
    lease = await lab.lease(ann, exporter_name="board", **asked)
    with pytest.raises(error):
        await change(lab, lease, **wanted)
    assert await lab.look(lease) == lease


async def test_the_end_of_a_running_lease_must_be_after_its_begin(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board")
    with pytest.raises(InvalidRequest, match="before it begins"):
        await change(lab, lease, end_time=NOON - HOUR)
    with pytest.raises(InvalidRequest, match="leave one"):
        await change(lab, lease, end_time=NOON + HOUR, duration=2 * HOUR)


async def test_a_lease_that_has_ended_is_not_changed(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.release(ann, await lab.lease(ann, exporter_name="board"))
    several: list[Wanted] = [{"duration": 2 * HOUR}, {"client": "ann"}, {}]
    for wanted in several:
        with pytest.raises(WrongState, match="ended"):
            await change(lab, lease, **wanted)


async def test_only_the_owner_and_the_administrator_change_a_lease(lab: Lab) -> None:
    ann, ben = await lab.client("ann"), await lab.client("ben")
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board")
    with pytest.raises(Forbidden, match="permission denied"):
        await change(lab, lease, ben, duration=2 * HOUR)
    with pytest.raises(Forbidden, match="permission denied"):
        await lab.release(ben, lease)
    # Another client that took the name of the owner is not the owner.
    await lab.engine.delete_client(NAMESPACE, "ann")
    with pytest.raises(Forbidden, match="permission denied"):
        await lab.release(await lab.client("ann"), lease)


async def test_a_policy_limits_an_extension_too(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    rule = PolicyRule(client_selectors=("",), maximum_duration=2 * HOUR)
    await lab.engine.put_policy(NAMESPACE, "p", rules=[rule])
    lease = await lab.lease(ann, exporter_name="board")
    assert (await change(lab, lease, duration=2 * HOUR)).duration == 2 * HOUR
    too_long: list[Wanted] = [{"duration": 3 * HOUR}, {"end_time": NOON + 3 * HOUR}]
    for wanted in too_long:
        with pytest.raises(Forbidden, match="policy"):
            await change(lab, lease, **wanted)
    waiting = await lab.lease(ann, exporter_name="board")
    with pytest.raises(Forbidden, match="policy"):
        await change(lab, waiting, duration=3 * HOUR)
    # A stricter policy does not forbid to ask for less.
    rule = PolicyRule(client_selectors=("",), maximum_duration=HOUR / 4)
    await lab.engine.put_policy(NAMESPACE, "p", rules=[rule])
    assert (await change(lab, lease, duration=HOUR / 2)).duration == HOUR / 2


async def test_a_lease_is_handed_on_with_a_higher_fence(lab: Lab) -> None:
    ann, ben = await lab.client("ann"), await lab.client("ben")
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board")
    async with lab.engine.watch_exporter(NAMESPACE, "board") as told:
        assert (await anext(told)) is not None
        moved = await change(lab, lease, client="ben")
        news = await anext(told)
    assert (moved.client, moved.client_uid) == ("ben", ben.uid)
    assert moved.fence > lease.fence
    assert news is not None
    assert (news.lease_name, news.client_name, news.fence) == (lease.name, "ben", moved.fence)
    with pytest.raises(Forbidden):
        await lab.release(ann, lease)
    assert state(await lab.release(ben, lease)) == ("Ready", False, "Released")


async def test_a_lease_is_handed_only_to_a_client_that_may_have_it(lab: Lab) -> None:
    ann = await lab.client("ann", team="a")
    await lab.client("ben", team="b")
    await lab.exporter()
    rule = PolicyRule(client_selectors=("team=a",))
    await lab.engine.put_policy(NAMESPACE, "p", rules=[rule])
    lease = await lab.lease(ann, exporter_name="board")
    with pytest.raises(NotFound, match="carol"):
        await change(lab, lease, client="carol")
    with pytest.raises(Forbidden, match="policy"):
        await change(lab, lease, client="ben")
    assert await lab.look(lease) == lease
    assert await change(lab, lease, client="ann") == lease
    # The attempt took no fence with it.
    await lab.release(ann, lease)
    assert (await lab.lease(ann, exporter_name="board")).fence == lease.fence + 1


async def test_a_release_is_refused_the_second_time_unless_that_is_allowed(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board")
    lease = await lab.release(ann, lease)
    with pytest.raises(WrongState, match="already"):
        await lab.release(ann, lease)
    again = await lab.engine.release_lease(ann.ref, NAMESPACE, lease.name, again=True)
    assert again == lease
    with pytest.raises(NotFound):
        await lab.engine.release_lease(ann.ref, NAMESPACE, "none", again=True)


async def test_a_lease_that_ran_out_may_still_be_released_once(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter()
    lease = await lab.lease(ann, exporter_name="board")
    await lab.wait(HOUR)
    released = await lab.release(ann, lease)
    assert (released.released, state(released)) == (True, ("Ready", False, "Expired"))
    assert (await lab.look(lease)) == released
    with pytest.raises(WrongState, match="already"):
        await lab.release(ann, lease)
