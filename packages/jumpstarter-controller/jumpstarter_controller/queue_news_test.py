"""Who waits is told when its place changes, and why it waits, but no more often than is of use."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

import anyio
from anyio.abc import TaskGroup, TaskStatus
from jumpstarter.model.status import ExporterStatus as Status

from jumpstarter_controller.conftest import NAMESPACE, Lab
from jumpstarter_controller.objects import Lease, Place
from jumpstarter_controller.queueing import FEW
from jumpstarter_controller.writer import MANY

SECOND = timedelta(seconds=1)


async def following(states: AsyncIterator[tuple[Lease, Place]]) -> tuple[Lease, Place]:
    with anyio.fail_after(5):
        return await anext(states)


async def test_who_waits_is_told_that_it_moved_up(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter(type="x")
    await lab.lease(ann, "type=x")
    first, second = await lab.lease(ann, "type=x"), await lab.lease(ann, "type=x")

    async with lab.engine.watch_queue(NAMESPACE, second.name) as states:
        assert (await following(states))[1].position == 2
        await lab.wait(SECOND)
        await lab.release(ann, first)

        assert (await following(states))[1].position == 1


async def test_who_waits_is_told_that_it_waits_for_another_reason(lab: Lab) -> None:
    ann = await lab.client()
    board = await lab.exporter(type="x")
    await lab.lease(ann, "type=x")
    waiting = await lab.lease(ann, "type=x")

    async with lab.engine.watch_queue(NAMESPACE, waiting.name) as states:
        assert (await following(states))[1].reason == "NotAvailable"
        await lab.wait(SECOND)
        await lab.report(board, Status.OFFLINE)

        lease, place = await following(states)
        assert (lease.conditions[-1].reason, place.reason) == ("Offline", "Offline")


async def test_news_of_a_queue_is_put_off_and_that_of_a_lease_is_not(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter(type="x")
    held = await lab.lease(ann, "type=x")
    waiting = [await lab.lease(ann, "type=x") for _ in range(4)]
    # The first second ends with the news of these leases.
    await lab.wait(SECOND)
    await lab.wait(SECOND)

    async with lab.engine.watch_queue(NAMESPACE, waiting[3].name) as states:
        assert (await following(states))[1].position == 4
        await lab.release(ann, waiting[2])
        assert (await following(states))[1].position == 3
        # Within the same second this is not told, but it is when the second is over.
        await lab.release(ann, waiting[0])
        with anyio.move_on_after(0) as scope:
            await anext(states)
        assert scope.cancelled_caught

    async with lab.engine.watch_queue(NAMESPACE, waiting[3].name) as states:
        assert (await following(states))[1].position == 2
        await lab.release(ann, waiting[1])
        await lab.wait(SECOND)
        assert (await following(states))[1].position == 1
        await lab.release(ann, held)
        lease, place = await following(states)
        assert (lease.live, place.position) == (True, 0)


async def test_an_answer_names_the_nearest_of_many(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter(type="x")
    held = await lab.lease(ann, "type=x")
    waiting = [await lab.lease(ann, "type=x") for _ in range(FEW + 5)]

    place = lab.engine.queue(waiting[-1])

    assert place.position == FEW + 5
    assert [one.lease for one in place.ahead] == [one.name for one in waiting[4:-1]]
    assert [one.lease for one in place.holders] == [held.name]
    assert [one.lease for one in lab.engine.queue(waiting[-1], few=1).ahead] == [waiting[-2].name]


async def test_many_who_wait_are_told_in_parts_and_more_seldom(lab: Lab) -> None:
    ann = await lab.client()
    await lab.exporter(type="x")
    await lab.lease(ann, "type=x")
    waiting = [await lab.lease(ann, "type=x") for _ in range(3 * MANY)]
    await lab.wait(10 * SECOND)
    await lab.wait(10 * SECOND)
    told: list[str] = []

    async def follow(lease: Lease, tasks: TaskGroup, *, task_status: TaskStatus[None]) -> None:
        async with lab.engine.watch_queue(NAMESPACE, lease.name) as states:
            await anext(states)
            task_status.started()
            await anext(states)
            told.append(lease.name)
            if len(told) == 8:
                tasks.cancel_scope.cancel()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for lease in waiting[-8:]:
                await tasks.start(partial(follow, lease, tasks))
            await lab.release(ann, waiting[0])
            await anyio.wait_all_tasks_blocked()
            assert len(told) <= 1
            await lab.wait(1.5 * SECOND)
            await anyio.wait_all_tasks_blocked()
            assert 0 < len(told) < 8
            await lab.wait(1.5 * SECOND)
    assert len(told) == 8
