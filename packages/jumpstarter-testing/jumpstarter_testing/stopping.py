"""Stopping a run while it holds or waits for a device: Ctrl-C, and signals that mean the same."""

import signal
import threading
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from types import FrameType
from typing import Final, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

T = TypeVar("T")

LISTEN_SECONDS: Final = 0.2
"""Python runs its handlers of signals in the main thread, and a thread that is just about to wait
is not woken by them. So a long wait is made of short ones."""


@contextmanager
def entered_patiently(
    portal: BlockingPortal, context: AbstractAsyncContextManager[T]
) -> Generator[T]:
    """Enter `context` on the loop of `portal`; signals are heard however long that takes.

    It is left when the body ends, and cancelled by the end of `portal` after an interrupt.
    """
    entered: Future[tuple[T, anyio.Event]] = Future()

    async def hold() -> None:
        try:
            async with context as value:
                leave = anyio.Event()
                entered.set_result((value, leave))
                await leave.wait()
        except BaseException as error:
            if not entered.done():
                entered.set_exception(error)
            raise

    left = portal.start_task_soon(hold)
    value, leave = _result(entered)
    try:
        yield value
    finally:
        portal.call(leave.set)
        _result(left)


def _result(future: "Future[T]") -> T:
    while True:
        try:
            return future.result(LISTEN_SECONDS)
        except TimeoutError:
            if future.done():
                raise


@contextmanager
def terminated_as_interrupted() -> Generator[None]:
    """Let SIGTERM and SIGHUP end the tests as Ctrl-C does, so that their devices are given back.

    A second one ends the process at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM, signal.SIGHUP]
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    signal.signal(number, signal.SIG_DFL)
    raise KeyboardInterrupt(signal.Signals(number).name)
