"""Signals that ask the program to end. One that was ignored when the program began stays so.

Python runs handlers in the main thread, and no signal wakes that when it is just about to wait for
something: the wait would go on as if nothing had come. So a thread listens too, and sees to it that
the handler runs.
"""

import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final

PATIENCE: Final = 0.2
"""Seconds that a handler may take to run before the main thread is woken."""

_NUDGE: Final = signal.SIGURG
"""Means nothing to anybody, but ends a wait, and with it comes what else has come."""


def heeded(*numbers: signal.Signals) -> list[signal.Signals]:
    """Return those of the signals that are not ignored: `nohup` and job control ignore some."""
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def interruptible() -> Generator[None]:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread, as SIGINT does.

    So that every context is left: drivers are closed, and hooks run. Enter it in the main thread.
    """
    heard, over = threading.Event(), threading.Event()

    def interrupt(_: int, __: FrameType | None) -> None:
        heard.set()
        raise KeyboardInterrupt

    numbers = heeded(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    before[_NUDGE] = signal.signal(_NUDGE, _leave)
    told, telling = socket.socketpair()
    telling.settimeout(0)
    former = signal.set_wakeup_fd(telling.fileno(), warn_on_full_buffer=False)
    arguments = (told, numbers, heard, over)
    threading.Thread(target=_see_to_it, args=arguments, daemon=True).start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(former)
        telling.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def _see_to_it(
    told: socket.socket,
    numbers: list[signal.Signals],
    heard: threading.Event,
    over: threading.Event,
) -> None:
    """Wake the main thread for each of `numbers` that is told, until its handler has run."""
    main = threading.main_thread().ident
    with told:
        while came := told.recv(1):
            if main is None or came[0] not in numbers:
                continue
            while not heard.wait(PATIENCE) and not over.is_set():
                signal.pthread_kill(main, _NUDGE)
            heard.clear()


def _leave(_: int, __: FrameType | None) -> None:
    """Do nothing."""
