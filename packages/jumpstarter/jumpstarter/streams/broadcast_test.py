"""Broadcasts between tasks and threads."""

import threading

import anyio
import pytest
from anyio import to_thread
from anyio.lowlevel import checkpoint

from jumpstarter.streams.broadcast import Broadcast, Subscription


async def receive_all(subscription: Subscription[int], into: list[int]) -> None:
    async for item in subscription:
        into.append(item)  # noqa: PERF401 - what came before a failure counts too


async def test_two_readers_both_get_everything():
    broadcast = Broadcast[int]()
    first: list[int] = []
    second: list[int] = []
    async with (
        broadcast.subscribe() as one,
        broadcast.subscribe() as two,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(receive_all, one, first)
        tasks.start_soon(receive_all, two, second)
        await checkpoint()
        for number in range(100):
            broadcast.publish(number)
            if number % 7 == 0:
                await checkpoint()
        broadcast.close()
    assert first == second == list(range(100))


async def test_items_of_many_threads_all_arrive_in_each_threads_order():
    broadcast = Broadcast[tuple[int, int]]()
    start = threading.Barrier(4)

    def publish(thread: int) -> None:
        start.wait()
        for number in range(500):
            broadcast.publish((thread, number))

    received: list[tuple[int, int]] = []
    async with broadcast.subscribe() as subscription, anyio.create_task_group() as tasks:
        for thread in range(4):
            tasks.start_soon(to_thread.run_sync, publish, thread)
        while len(received) < 2000:
            received.append(await subscription.receive())
    for thread in range(4):
        assert [number for source, number in received if source == thread] == list(range(500))


async def test_waiting_reader_is_woken_by_a_thread():
    broadcast = Broadcast[str]()
    received: list[str] = []
    async with broadcast.subscribe() as subscription, anyio.create_task_group() as tasks:

        async def read() -> None:
            received.append(await subscription.receive())

        tasks.start_soon(read)
        await checkpoint()
        await to_thread.run_sync(broadcast.publish, "from a thread")
    assert received == ["from a thread"]


async def test_new_reader_is_given_the_history_first():
    broadcast = Broadcast[int](history=3)
    for number in range(5):
        broadcast.publish(number)
    async with broadcast.subscribe() as subscription:
        broadcast.publish(5)
        assert [await subscription.receive() for _ in range(4)] == [2, 3, 4, 5]


async def test_without_history_a_new_reader_gets_only_what_follows():
    broadcast = Broadcast[int]()
    broadcast.publish(1)
    async with broadcast.subscribe() as subscription:
        broadcast.publish(2)
        assert await subscription.receive() == 2


async def test_slow_reader_loses_the_oldest_and_is_told_how_many():
    broadcast = Broadcast[int]()
    async with broadcast.subscribe(queue_size=3) as slow, broadcast.subscribe() as quick:
        for number in range(5):
            broadcast.publish(number)
        got: list[tuple[int, int]] = []
        for _ in range(3):
            item = await slow.receive()
            got.append((item, slow.lost))
        assert got == [(2, 2), (3, 0), (4, 0)]
        assert [await quick.receive() for _ in range(5)] == list(range(5))
        assert quick.lost == 0


async def test_closing_ends_readers_after_what_was_published():
    broadcast = Broadcast[int](history=1)
    async with broadcast.subscribe() as early:
        broadcast.publish(1)
        broadcast.close()
        assert [item async for item in early] == [1]
        with pytest.raises(anyio.EndOfStream):
            await early.receive()
    async with broadcast.subscribe() as late:
        assert [item async for item in late] == [1]


async def test_closing_wakes_a_waiting_reader():
    broadcast = Broadcast[int]()
    received: list[int] = []
    async with broadcast.subscribe() as subscription, anyio.create_task_group() as tasks:
        tasks.start_soon(receive_all, subscription, received)
        await checkpoint()
        await checkpoint()
        broadcast.close()
    assert received == []


async def test_reader_that_left_is_not_kept():
    broadcast = Broadcast[int]()
    async with broadcast.subscribe() as subscription:
        pass
    broadcast.publish(1)
    broadcast.close()
    with anyio.move_on_after(0.01) as scope:
        await subscription.receive()
    assert scope.cancelled_caught


async def test_cancelled_receive_loses_nothing():
    broadcast = Broadcast[int]()
    async with broadcast.subscribe() as subscription:
        with anyio.move_on_after(0):
            await subscription.receive()
        broadcast.publish(1)
        assert await subscription.receive() == 1


async def test_publishing_while_publishing_does_not_deadlock():
    broadcast = Broadcast[object](history=1)

    class Talkative:
        """Publishes when it is dropped, as a finalizer that logs does."""

        def __del__(self) -> None:
            broadcast.publish("dropped")

    async with broadcast.subscribe(queue_size=1) as subscription:
        broadcast.publish(Talkative())
        broadcast.publish("next")
        assert await subscription.receive() in ("dropped", "next")


def test_publishing_needs_no_loop_when_nobody_listens():
    broadcast = Broadcast[int](history=2)
    broadcast.publish(1)
    broadcast.close()


async def test_queue_without_room_is_refused():
    with pytest.raises(ValueError, match="queue_size"):
        async with Broadcast[int]().subscribe(queue_size=0):
            pass
