"""A generator in a worker thread: its items and its error arrive, and leaving stops it."""

import itertools
import threading
from collections.abc import Iterator

import pytest
from anyio import to_thread

from .threads import MAX_AHEAD, iterate_in_thread


def broken_after_two() -> Iterator[int]:
    yield 1
    yield 2
    raise NotImplementedError("no third")


async def test_items_arrive_in_order():
    async with iterate_in_thread(lambda: range(3 * MAX_AHEAD)) as items:
        assert [item async for item in items] == list(range(3 * MAX_AHEAD))


async def test_error_comes_as_itself_after_the_items_before_it():
    seen: list[object] = []

    async def read() -> None:
        async with iterate_in_thread(broken_after_two) as items:
            async for item in items:
                seen.append(item)  # noqa: PERF401 - what came before the error is wanted

    with pytest.raises(NotImplementedError, match="no third"):
        await read()
    assert seen == [1, 2]


async def test_error_of_the_reader_comes_as_itself_and_stops_the_generator():
    stopped = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            stopped.set()

    async def read() -> None:
        async with iterate_in_thread(endless) as items:
            await anext(items)
            raise KeyError("reader")

    with pytest.raises(KeyError, match="reader"):
        await read()
    assert await to_thread.run_sync(stopped.wait, 5)


async def test_thread_runs_ahead_by_no_more_than_its_bound():
    made = 0
    full = threading.Event()

    def counted() -> Iterator[int]:
        nonlocal made
        while True:
            made += 1
            if made == MAX_AHEAD + 1:
                full.set()
            yield made

    async with iterate_in_thread(counted):
        assert await to_thread.run_sync(full.wait, 5)
        assert made == MAX_AHEAD + 1


async def test_leaving_stops_a_generator_that_waits_for_its_reader():
    full, stopped = threading.Event(), threading.Event()

    def endless() -> Iterator[int]:
        try:
            for number in itertools.count():
                if number == MAX_AHEAD:
                    full.set()
                yield number
        finally:
            stopped.set()

    async with iterate_in_thread(endless):
        assert await to_thread.run_sync(full.wait, 5)
        assert not stopped.is_set()
    assert await to_thread.run_sync(stopped.wait, 5)


async def test_error_of_what_makes_the_generator():
    def refuse() -> Iterator[int]:
        raise PermissionError("not you")

    async with iterate_in_thread(refuse) as items:
        for _ in range(2):
            with pytest.raises(PermissionError, match="not you"):
                await anext(items)


async def test_leaving_does_not_wait_for_a_generator_that_blocks():
    entered, release, stopped = threading.Event(), threading.Event(), threading.Event()

    def blocks() -> Iterator[int]:
        try:
            entered.set()
            release.wait(5)
            yield 0
        finally:
            stopped.set()

    async with iterate_in_thread(blocks):
        assert await to_thread.run_sync(entered.wait, 5)
    assert not stopped.is_set()
    release.set()
    assert await to_thread.run_sync(stopped.wait, 5)
