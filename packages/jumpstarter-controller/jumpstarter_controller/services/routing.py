"""Which router carries a stream, and what routers are told.

Routers report how many streams they carry, but between two reports a burst of Dials would all go to
one; so what was sent to a router since its report counts as well.
"""

import random
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

import anyio
from jumpstarter.streams.broadcast import Broadcast, Subscription

from jumpstarter_controller.objects import Router

REPORT_SECONDS: Final = 10.0

Choose = Callable[[Sequence[Router]], Router]


@dataclass(frozen=True, slots=True)
class Ended:
    """A lease that ended or was handed on: its streams up to the number `fence` are to be cut."""

    lease: str
    fence: int


class Routing:
    """Chooses routers, and passes on to all of them what has ended."""

    def __init__(self, choose: Choose = random.choice) -> None:
        """Let `choose` decide between equals."""
        self._choose = choose
        self._sent: dict[str, int] = {}
        self._ended = Broadcast[Ended]()
        self._arrival = anyio.Event()
        self._calls: Counter[str] = Counter()

    @contextmanager
    def registered(self, name: str) -> Generator[Callable[[], bool]]:
        """Count a call of a router; give what tells whether it has no other.

        A router that connects again has a new call before its old one has ended.
        """
        self._calls[name] += 1
        try:
            yield lambda: self._calls[name] == 1
        finally:
            self._calls[name] -= 1

    def reported(self, name: str) -> None:
        """Note that the load of a router is known afresh, and that it is there."""
        self._sent.pop(name, None)
        self._arrival.set()
        self._arrival = anyio.Event()

    def arrival(self) -> anyio.Event:
        """Return what is set when a router reports next."""
        return self._arrival

    def pick(self, routers: Sequence[Router], labels: Mapping[str, str]) -> Router | None:
        """Return the router for a stream to an exporter with `labels`; None when there is none."""
        best = best_routers(routers, labels, self._sent)
        if not best:
            return None
        router = self._choose(best)
        self._sent[router.name] = self._sent.get(router.name, 0) + 1
        return router

    def ended(self, ended: Ended) -> None:
        """Tell all routers that streams are to be cut."""
        self._ended.publish(ended)

    def orders(self) -> AbstractAsyncContextManager[Subscription[Ended]]:
        """Give what ends from here on, for the time of an `async with`."""
        return self._ended.subscribe()


def best_routers(
    routers: Sequence[Router], labels: Mapping[str, str], sent: Mapping[str, int]
) -> list[Router]:
    """Return the routers that share most labels with the exporter, and of these the least loaded.

    `sent` is how many streams a router got since it reported its load.
    """

    def rank(router: Router) -> tuple[int, float]:
        shared = sum(labels.get(key) == value for key, value in router.labels.items())
        return -shared, router.load + sent.get(router.name, 0)

    least = min(map(rank, routers), default=None)
    return [router for router in routers if rank(router) == least]
