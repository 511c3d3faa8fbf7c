"""Reading an async generator from a thread: order, errors, how far it runs ahead, and closing."""

import asyncio
import itertools
import threading
from collections.abc import AsyncGenerator, Callable, Generator

import anyio.lowlevel
import pytest
from anyio.from_thread import BlockingPortal

from jumpstarter.client.prefetch import MAX_AHEAD, prefetch
from jumpstarter.rpc.portal import open_portal

Make = Callable[[], AsyncGenerator[int, None]]


@pytest.fixture
def portal() -> Generator[BlockingPortal]:
    with open_portal() as portal:
        yield portal


class Source:
    """Makes generators, and knows what became of the last one."""

    def __init__(self) -> None:
        self.made = 0
        self.full = threading.Event()
        self.closed = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def numbers(self, count: int | None = None) -> AsyncGenerator[int, None]:
        self.loop = asyncio.get_running_loop()
        try:
            for number in itertools.count() if count is None else range(count):
                self.made += 1
                if self.made == MAX_AHEAD:
                    self.full.set()
                yield number
        finally:
            self.closed.set()

    async def silent(self) -> AsyncGenerator[int, None]:
        try:
            await anyio.sleep_forever()
            yield 0
        finally:
            self.closed.set()

    async def failing(self, count: int) -> AsyncGenerator[int, None]:
        for number in range(count):
            yield number
        raise LookupError("no more")


@pytest.mark.parametrize("count", [0, 1, MAX_AHEAD // 2, MAX_AHEAD, MAX_AHEAD + 1, 5 * MAX_AHEAD])
def test_all_items_in_order(portal: BlockingPortal, count: int):
    source = Source()
    assert list(prefetch(portal, lambda: source.numbers(count))) == list(range(count))
    assert source.closed.is_set()


def test_the_generator_runs_on_the_loop_of_the_portal(portal: BlockingPortal):
    source = Source()
    list(prefetch(portal, lambda: source.numbers(1)))
    assert source.loop is portal.call(asyncio.get_running_loop)


@pytest.mark.parametrize("count", [0, 1, 2 * MAX_AHEAD])
def test_error_comes_after_the_items_before_it(portal: BlockingPortal, count: int):
    items = prefetch(portal, lambda: Source().failing(count))
    assert list(itertools.islice(items, count)) == list(range(count))
    with pytest.raises(LookupError, match="no more"):
        next(items)
    assert list(items) == []


def test_nothing_is_made_before_the_first_item_is_asked_for(portal: BlockingPortal):
    source = Source()
    prefetch(portal, source.numbers).close()
    assert source.loop is None


def test_reading_ahead_is_bounded(portal: BlockingPortal):
    source = Source()
    items = prefetch(portal, source.numbers)
    assert next(items) == 0
    assert source.full.wait(5)
    # Each call goes behind what the loop has to do already.
    for _ in range(10):
        portal.call(anyio.lowlevel.checkpoint)
    assert source.made <= MAX_AHEAD + 1
    assert list(itertools.islice(items, 3 * MAX_AHEAD)) == list(range(1, 3 * MAX_AHEAD + 1))
    assert source.made <= 4 * MAX_AHEAD + 2
    items.close()


@pytest.mark.parametrize("read", [1, MAX_AHEAD, 3 * MAX_AHEAD])
def test_closing_returns_when_the_generator_is_closed(portal: BlockingPortal, read: int):
    source = Source()
    items = prefetch(portal, source.numbers)
    assert list(itertools.islice(items, read)) == list(range(read))
    items.close()
    assert source.closed.is_set()


def test_an_exception_of_the_reader_closes_the_generator(portal: BlockingPortal):
    source = Source()
    items = prefetch(portal, source.numbers)
    next(items)
    with pytest.raises(KeyError, match="mine"):
        items.throw(KeyError("mine"))
    assert source.closed.is_set()


def test_items_made_before_the_reader_asks_are_kept_while_the_source_is_silent(
    portal: BlockingPortal,
):
    source = Source()

    async def three_then_silence() -> AsyncGenerator[int, None]:
        async for number in source.numbers(3):
            yield number
        async for number in source.silent():
            yield number

    items = prefetch(portal, three_then_silence)
    assert list(itertools.islice(items, 3)) == [0, 1, 2]
    source.closed.clear()
    items.close()
    assert source.closed.is_set()


def test_a_portal_that_has_stopped_refuses():
    with open_portal() as portal:
        items = prefetch(portal, Source().numbers)
    with pytest.raises(RuntimeError, match="not running"):
        next(items)


def test_an_iterator_that_is_closed_in_the_loops_thread_does_not_wait_for_itself(
    portal: BlockingPortal,
):
    source = Source()
    items = prefetch(portal, lambda: source.numbers())
    assert next(items) == 0

    async def collect_garbage() -> None:
        items.close()

    portal.call(collect_garbage)
    assert source.closed.wait(5)
