"""Signals that ask the program to end. One that was ignored when the program began stays so."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


def heeded(*numbers: signal.Signals) -> list[signal.Signals]:
    """Return those of the signals that are not ignored: `nohup` and job control ignore some."""
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def interruptible() -> Generator[None]:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread, as SIGINT does.

    So that every context is left: drivers are closed, and hooks run. Enter it in the main thread.
    """
    numbers = heeded(signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
