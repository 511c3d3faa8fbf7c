"""Who is there: exporters that have a stream open count as heard, again and again, while they have.

Rule: one task does it for all of them, some at a time; an exporter that does nothing costs next to
nothing.
"""

from collections import Counter, deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

import anyio
from anyio.abc import TaskStatus
from anyio.lowlevel import checkpoint

from .engine import Engine
from .errors import LabError
from .objects import Ref

HEARTBEAT = timedelta(seconds=10)
"""After which time an exporter that has a stream open counts as heard again."""

TOGETHER = timedelta(seconds=1)
"""Those who are due within this time are taken together, so that there are few turns."""

AT_ONCE = 50
"""Exporters after which everybody else has a turn."""


class Presence:
    """The exporters that have a stream open."""

    def __init__(self, engine: Engine) -> None:
        """Tell `engine` that they are there."""
        self._engine = engine
        self._streams: Counter[Ref] = Counter()
        self._due: deque[tuple[datetime, Ref]] = deque()
        self._news = anyio.Event()

    @contextmanager
    def of(self, exporter: Ref) -> Generator[None]:
        """Count an exporter as there for the time of a `with`."""
        self._streams[exporter] += 1
        if self._streams[exporter] == 1:
            self._await(exporter)
        try:
            yield
        finally:
            self._streams[exporter] -= 1
            if not self._streams[exporter]:
                del self._streams[exporter]

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Tell the engine, for ever."""
        task_status.started()
        clock = self._engine.clock
        while True:
            self._news = anyio.Event()
            await clock.wait(self._news, self._due[0][0] + TOGETHER if self._due else None)
            if self._due and self._due[0][0] + TOGETHER <= clock.now():
                await self._tell(clock.now())

    async def _tell(self, now: datetime) -> None:
        told = 0
        while self._due and self._due[0][0] <= now:
            _, exporter = self._due.popleft()
            if exporter not in self._streams:
                continue
            # Of a trouble with the disk an exporter is to see nothing, and of one that was deleted
            # the stream ends by itself.
            with suppress(LabError):
                await self._engine.seen(exporter)
            self._await(exporter)
            told += 1
            if told % AT_ONCE == 0:
                await checkpoint()

    def _await(self, exporter: Ref) -> None:
        self._due.append((self._engine.clock.now() + HEARTBEAT, exporter))
        if len(self._due) == 1:
            self._news.set()
