"""Worker threads that plain driver methods run in, kept from one call to the next.

`anyio.to_thread` takes two turns of the event loop, and a queue written in Python, to hand over a
call: a fifth of what a driver call costs. The threads here stay in it and take one call after the
other from a queue of C. `anyio.from_thread` works in them.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar, copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, NamedTuple, TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.abc import TaskGroup

from jumpstarter.streams.background import background_tasks

MAX_THREADS: Final = 40
"""Calls of a socket that run at the same time; further ones wait. As many as anyio's."""

T = TypeVar("T")


class _Job(NamedTuple):
    context: Context
    call: Callable[[], Any]
    future: asyncio.Future[Any]


class Workers:
    """Threads that end with the `worker_threads` that made them."""

    def __init__(self, tasks: TaskGroup) -> None:
        """Begin without a thread; each will be a task of `tasks`."""
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._limiter = CapacityLimiter(MAX_THREADS)
        self._unfinished = 0
        self._threads = 0
        self._stopped = False

    def serve_here(self) -> bool:
        """Return whether calls can be run: before the end, and only in the loop that began it.

        A context variable outlives its session, and goes with a thread into a loop of its own.
        """
        return not self._stopped and self._loop is asyncio.get_running_loop()

    async def run(self, call: Callable[[], T]) -> T:
        """Return what `call` returns in a thread; raises what it raises.

        A thread cannot be stopped: whoever is cancelled leaves `call` alone with its result.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._unfinished += 1
        if self._threads < min(self._unfinished, MAX_THREADS):
            self._threads += 1
            self._tasks.start_soon(self._start)
        self._jobs.put(_Job(_outside_the_loop(copy_context()), call, future))
        return await future

    def stop(self) -> None:
        """Let each thread end after its call; nobody waits for it."""
        self._stopped = True
        for _ in range(self._threads):
            self._jobs.put(None)

    async def _start(self) -> None:
        await to_thread.run_sync(self._work, abandon_on_cancel=True, limiter=self._limiter)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            result, error = None, None
            try:
                # Nobody waits any more for a call that has not had its turn: it is not made.
                if not job.future.cancelled():
                    result = job.context.run(job.call)
            except BaseException as raised:  # noqa: BLE001 - raised again by whoever waits
                error = raised
            # Whoever waits has gone when the loop has.
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._finish, job.future, result, error)
            del job, result, error

    def _finish(
        self, future: asyncio.Future[Any], result: object, error: BaseException | None
    ) -> None:
        self._unfinished -= 1
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):
            # No future takes one: it would end the coroutine that waits.
            failure = RuntimeError("a method raised StopIteration")
            failure.__cause__ = error
            future.set_exception(failure)
        else:
            future.set_exception(error)


_current: ContextVar[Workers | None] = ContextVar("jumpstarter_workers", default=None)


@asynccontextmanager
async def worker_threads() -> AsyncGenerator[Workers]:
    """Yield threads for the calls of one socket; leaving waits for none of them."""
    async with background_tasks() as tasks:
        workers = Workers(tasks)
        try:
            yield workers
        finally:
            workers.stop()


def use_workers(workers: Workers) -> None:
    """Let this task, and those it starts, run plain methods in `workers`."""
    _current.set(workers)


async def run_plain(method: Callable[..., T], *args: object) -> T:
    """Run a plain method in a worker thread and return its result; raises what it raises."""
    workers = _current.get()
    if workers is None or not workers.serve_here():
        return await to_thread.run_sync(partial(method, *args))
    return await workers.run(partial(method, *args))


def _outside_the_loop(context: Context) -> Context:
    """Return `context`, in which libraries see that the thread runs no event loop.

    They may ask sniffio, if it is there, which goes by a context variable.
    """
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None:
        context.run(sniffio.current_async_library_cvar.set, None)
    return context
