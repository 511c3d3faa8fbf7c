"""Worker threads: kept for the next call, as many as there are calls, and gone with the session."""

import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from traceback import walk_stack
from types import ModuleType, SimpleNamespace

import anyio
import pytest
from anyio import from_thread, to_thread

from .workers import MAX_THREADS, Workers, run_plain, use_workers, worker_threads

COLOUR: ContextVar[str] = ContextVar("COLOUR")


class Gate:
    """A plain method that blocks until it is let through."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.threads: list[int] = []

    def pass_through(self) -> None:
        self.threads.append(threading.get_ident())
        self.entered.release()
        assert self.open.wait(10)


async def entered(gate: Gate, count: int = 1) -> None:
    for _ in range(count):
        await to_thread.run_sync(gate.entered.acquire)


def runs_workers(thread: int) -> bool:
    """Return whether the thread is in a method of `Workers`, or in one that it called."""
    frame = sys._current_frames()[thread]  # pyright: ignore[reportPrivateUsage] - it is documented
    return any(isinstance(at.f_locals.get("self"), Workers) for at, _ in walk_stack(frame))


async def test_one_thread_takes_one_call_after_the_other():
    async with worker_threads() as workers:
        threads = {await workers.run(threading.get_ident) for _ in range(5)}
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


async def test_calls_at_the_same_time_have_threads_of_their_own_and_not_more_than_the_limit():
    gate = Gate()
    async with worker_threads() as workers, anyio.create_task_group() as tasks:
        for _ in range(MAX_THREADS + 5):
            tasks.start_soon(workers.run, gate.pass_through)
        await entered(gate, MAX_THREADS)
        assert len(gate.threads) == MAX_THREADS
        gate.open.set()
    assert len(gate.threads) == MAX_THREADS + 5
    assert len(set(gate.threads)) == MAX_THREADS


async def test_a_thread_may_call_the_loop():
    async with worker_threads() as workers:
        loop_thread = await workers.run(lambda: from_thread.run_sync(threading.get_ident))
    assert loop_thread == threading.get_ident()


async def test_a_call_sees_the_context_variables_of_its_caller_and_changes_none():
    def paint() -> str:
        seen = COLOUR.get()
        COLOUR.set("green")
        return seen

    async with worker_threads() as workers:
        for colour in ("red", "blue"):
            COLOUR.set(colour)
            assert await workers.run(paint) == colour
            assert COLOUR.get() == colour


async def test_a_thread_may_run_a_loop_of_its_own_where_sniffio_says_that_it_is_in_one(
    monkeypatch: pytest.MonkeyPatch,
):
    library: ContextVar[str | None] = ContextVar("library")
    sniffio = ModuleType("sniffio")
    sniffio.__dict__.update(vars(SimpleNamespace(current_async_library_cvar=library)))
    monkeypatch.setitem(sys.modules, "sniffio", sniffio)
    library.set("asyncio")
    async with worker_threads() as workers:
        assert await workers.run(library.get) is None


def fail() -> None:
    raise SystemExit(3)


def stop_iterating() -> None:
    raise StopIteration


@pytest.mark.parametrize(("call", "error"), [(fail, SystemExit), (stop_iterating, RuntimeError)])
async def test_what_a_call_raises_is_raised_and_its_thread_goes_on(
    call: Callable[[], None], error: type[BaseException]
):
    async with worker_threads() as workers:
        thread = await workers.run(threading.get_ident)
        with pytest.raises(error):
            await workers.run(call)
        assert await workers.run(threading.get_ident) == thread


async def test_whoever_is_cancelled_does_not_wait_for_the_thread():
    gate = Gate()
    with anyio.fail_after(5):
        async with worker_threads() as workers:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(workers.run, gate.pass_through)
                await entered(gate)
                tasks.cancel_scope.cancel()
            assert await workers.run(lambda: 1) == 1
    gate.open.set()


async def test_a_call_that_waits_for_a_thread_is_not_made_for_one_who_has_left():
    gate, late = Gate(), Gate()
    late.open.set()
    async with worker_threads() as workers, anyio.create_task_group() as tasks:
        for _ in range(MAX_THREADS):
            tasks.start_soon(workers.run, gate.pass_through)
        await entered(gate, MAX_THREADS)
        with anyio.move_on_after(0):
            await workers.run(late.pass_through)
        gate.open.set()
    assert late.threads == []


async def test_leaving_waits_for_no_thread_and_each_is_free_after_its_call():
    gate = Gate()
    async with anyio.create_task_group() as tasks:
        async with worker_threads() as workers:
            tasks.start_soon(workers.run, gate.pass_through)
            await entered(gate)
        tasks.cancel_scope.cancel()
    (thread,) = gate.threads
    assert runs_workers(thread)
    gate.open.set()
    with anyio.fail_after(10):
        while runs_workers(thread):  # noqa: ASYNC110 - nothing tells
            await anyio.sleep(0.01)


async def test_a_plain_method_runs_in_the_threads_of_its_task_or_in_one_of_anyio():
    assert await run_plain(abs, -1) == 1
    async with worker_threads() as workers:
        use_workers(workers)
        thread = await workers.run(threading.get_ident)
        assert await run_plain(threading.get_ident) == thread


async def test_a_loop_of_its_own_in_a_thread_has_threads_of_its_own():
    async with worker_threads() as workers:
        use_workers(workers)
        assert await run_plain(lambda: anyio.run(run_plain, abs, -1)) == 1


async def test_a_task_that_outlives_the_session_is_still_served():
    async with worker_threads() as workers:
        use_workers(workers)
        assert await run_plain(abs, -1) == 1
    with anyio.fail_after(5):
        assert await run_plain(abs, -1) == 1
