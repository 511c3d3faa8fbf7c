"""Signals that ask the program to end, made into an orderly end: every context is left."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Generator[None]:
    """Raise KeyboardInterrupt in the main thread for SIGTERM and SIGHUP too, inside the context.

    Enter it in the main thread.
    """
    before = {number: signal.signal(number, _interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
