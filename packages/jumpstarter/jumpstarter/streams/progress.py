"""How far a transfer is: a bar for whoever watches a terminal, log lines on request, else nothing.

The stream counts bytes; what is said about them, and when, is decided from numbers and the time
that is passed in. The library that draws is imported when there is something to draw.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from logging import Logger, getLogger
from typing import Protocol

import anyio
from anyio import TypedAttributeSet, typed_attribute

from .wrapping import WrappingStream

LOG_INTERVAL = 2.0
"""Seconds between two log lines of one transfer."""

BAR_INTERVAL = 0.1
"""Seconds between two changes of the bar."""

_MEBIBYTE = 1 << 20


class ProgressAttribute(TypedAttributeSet):
    """Typed attributes of a stream that knows what it will deliver."""

    total: float = typed_attribute()
    """How many bytes there are in all."""


class Display(Protocol):
    """Shows a transfer to somebody."""

    interval: float
    """Seconds that lie at least between two calls of `show`."""

    def show(self, transfer: "Transfer", now: float) -> None:
        """Show the transfer as it is at `now`."""
        ...

    def close(self, transfer: "Transfer", now: float) -> None:
        """Show the transfer as it was when it ended and stop showing."""
        ...


@dataclass
class Transfer:
    """What is known about one transfer; times are seconds of any one clock."""

    total: float | None
    started: float
    moved: int = 0
    shown: float = field(init=False)

    def __post_init__(self) -> None:
        """Count the beginning as shown: there is nothing to see yet."""
        self.shown = self.started

    def add(self, size: int, now: float, interval: float) -> bool:
        """Count `size` bytes; return whether `interval` seconds have passed since the last show."""
        self.moved += size
        if now - self.shown < interval:
            return False
        self.shown = now
        return True

    def describe(self, now: float) -> str:
        """Return one line: how much of how much, and how fast so far."""
        text = f"{self.moved / _MEBIBYTE:.1f} MiB"
        if self.total:
            text += f" of {self.total / _MEBIBYTE:.1f} MiB ({100 * self.moved / self.total:.0f} %)"
        elapsed = now - self.started
        return f"{text}, {self.moved / _MEBIBYTE / elapsed:.1f} MiB/s" if elapsed > 0 else text


@dataclass
class LogDisplay:
    """Logs a line now and then, and one at the end."""

    logger: Logger
    interval: float = LOG_INTERVAL

    def show(self, transfer: Transfer, now: float) -> None:
        """Log how far the transfer is."""
        self.logger.info("transferred %s", transfer.describe(now))

    def close(self, transfer: Transfer, now: float) -> None:
        """Log how far the transfer came."""
        self.logger.info("transfer ended: %s", transfer.describe(now))


@dataclass(kw_only=True, eq=False)
class ProgressStream(WrappingStream):
    """Shows how many bytes pass through `stream`, in both directions together.

    A bar is drawn on standard error if that is a terminal that can draw one; with `logging` there
    are log lines instead. The total is the stream's ProgressAttribute.total, if it has one.
    """

    logging: bool = False
    clock: Callable[[], float] = time.monotonic
    _transfer: Transfer | None = field(default=None, init=False)
    _display: Display | None = field(default=None, init=False)

    async def receive(self) -> bytes:
        """Return the next chunk of the stream and count it."""
        try:
            chunk = await super().receive()
        except anyio.EndOfStream:
            self._end()
            raise
        self._count(len(chunk))
        return chunk

    async def send(self, item: bytes) -> None:
        """Send `item` through the stream and count it."""
        await super().send(item)
        self._count(len(item))

    async def aclose(self) -> None:
        """Stop showing and close the stream."""
        self._end()
        await super().aclose()

    async def reset(self) -> None:
        """Stop showing and reset the stream."""
        self._end()
        await super().reset()

    def _count(self, size: int) -> None:
        now = self.clock()
        if self._transfer is None:
            self._transfer = Transfer(self.extra(ProgressAttribute.total, None), now)
            self._display = _choose_display(logging=self.logging)
        interval = BAR_INTERVAL if self._display is None else self._display.interval
        if self._transfer.add(size, now, interval) and self._display is not None:
            self._display.show(self._transfer, now)

    def _end(self) -> None:
        if self._transfer is not None and self._display is not None:
            self._display.close(self._transfer, self.clock())
            self._display = None


def can_draw(*, is_terminal: bool, term: str | None) -> bool:
    """Return whether an output can show a bar that moves, given what TERM says of it."""
    return is_terminal and term not in (None, "", "dumb", "unknown")


def _choose_display(*, logging: bool) -> Display | None:
    if logging:
        return LogDisplay(getLogger(__name__))
    if can_draw(is_terminal=sys.stderr.isatty(), term=os.environ.get("TERM")):
        from .progress_bar import ProgressBar  # noqa: PLC0415 - slow, and only for terminals

        return ProgressBar(interval=BAR_INTERVAL)
    return None
