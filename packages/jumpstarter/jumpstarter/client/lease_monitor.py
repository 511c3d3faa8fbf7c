"""Watches a lease that is in use: warns before its end, and tells when it is over or given away.

A controller that is away changes nothing about the lease: then the end that was last heard of
counts. Before a lease is called over, its controller is asked once more, for it may have been
extended while nobody could tell.
"""

from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import Final

import anyio

from jumpstarter.model.errors import ConnectionError  # noqa: A004 - its public name
from jumpstarter.model.lease_progress import Countdown, Due
from jumpstarter.streams.background import background_tasks

from .clock import Clock
from .following import LeaseFollower
from .grpc import ClientService
from .records import Lease

LOOK_SECONDS: Final = 30.0
"""Seconds between questions to a controller that does not tell by itself."""

ASK_SECONDS: Final = 5.0
"""Seconds for the last question before a lease is called over."""


class Notice(Enum):
    """What happens to a lease in use."""

    ENDING = auto()
    ENDED = auto()
    TRANSFERRED = auto()


Tell = Callable[[Notice, timedelta], None]
"""Takes what happened, and how long the lease still lasts."""


@dataclass
class LeaseMonitor:
    """Watches the lease `name` of `client_name`; `run` returns when it is over."""

    service: ClientService
    name: str
    client_name: str | None
    threshold: timedelta
    clock: Clock
    tell: Tell
    _news: anyio.Event = field(default_factory=anyio.Event, init=False)
    _over: Notice | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Begin with an end that is not known."""
        self._countdown = Countdown(self.threshold.total_seconds())

    async def run(self) -> None:
        """Watch, tell, and return after the lease is over."""
        async with background_tasks() as tasks:
            tasks.start_soon(self._follow)
            while self._over is None:
                await self.clock.wait(self._news, self._countdown.next_at())
                self._news = anyio.Event()
                await self._act(self._countdown.due(self.clock.now()))
        self.tell(self._over, timedelta(0))

    async def _act(self, due: Due | None) -> None:
        ends = self._countdown.ends
        if self._over is not None or due is None or ends is None:
            return
        if due is Due.WARN:
            self.tell(Notice.ENDING, timedelta(seconds=ends - self.clock.now()))
            return
        with anyio.move_on_after(ASK_SECONDS):
            with suppress(ConnectionError):
                self._hear(await self.service.GetLease(name=self.name))
        if self._over is None and self._countdown.due(self.clock.now()) is Due.END:
            self._over = Notice.ENDED

    async def _follow(self) -> None:
        follower = LeaseFollower(self.service, self.name, LOOK_SECONDS, LOOK_SECONDS)
        while True:
            try:
                async with aclosing(follower.states()) as states:
                    async for state in states:
                        self._hear(state)
            except ConnectionError:
                # It will not answer, for example because the token has run out. The lease goes on,
                # and a new token may come.
                await anyio.sleep(LOOK_SECONDS)
            else:
                return

    def _hear(self, lease: Lease) -> None:
        remaining = lease.times.remaining(self.clock.date())
        now = self.clock.now()
        self._countdown.heard(None if remaining is None else now + remaining.total_seconds())
        if lease.effective_end_time is not None:
            self._over = Notice.ENDED
        elif self.client_name and lease.client != self.client_name:
            self._over = Notice.TRANSFERRED
        self._news.set()
