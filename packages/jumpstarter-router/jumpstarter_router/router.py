"""The router: a server whose calls meet, and the thread in which it relays."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import anyio
from anyio import CapacityLimiter
from jumpstarter.rpc.servers import Bind
from jumpstarter.rpc.stub import STREAM_METHOD
from jumpstarter.streams.background import background_tasks

from . import health
from .calls import HealthCall, StreamCall, perform
from .claims import Verify
from .core import CoreCall, CoreServer, Happening
from .switchboard import Code, Commands, Outcome, Switchboard

logger = logging.getLogger(__name__)

GRACE: Final = 30.0
"""Seconds that streams have to end by themselves when the router is to stop."""

WAKE: Final = 1.0
"""Seconds after which what another thread has made due is seen at the latest."""

NO_METHOD: Final = Outcome(Code.UNIMPLEMENTED, "a router has no such method")


class Router:
    """Joins calls of one stream in pairs, and relays between them until both have ended.

    Its methods may be called from any thread.
    """

    def __init__(
        self,
        verify: Verify,
        clock: Callable[[], float] = time.time,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        """Let in those whose token `verify` believes; `ready` says whether it can yet."""
        self.verify = verify
        self.clock = clock
        self._ready = ready
        self.board: Switchboard[StreamCall] = Switchboard()
        self.ports: tuple[int, ...] = ()
        self._lock = threading.Lock()
        self._server = CoreServer(self._arrived)
        self._watchers: dict[HealthCall, None] = {}
        self._idle: list[Callable[[], object]] = []

    @property
    def streams(self) -> int:
        """How many calls there are; a pair is two."""
        return self.board.calls

    @property
    def waiting(self) -> int:
        """How many of them wait for their other side."""
        return self.board.waiting

    @property
    def draining(self) -> bool:
        """Whether no new streams are let in."""
        return self.board.draining

    def refuse(self, lease: str, below_fence: int) -> None:
        """Cut the streams of a lease that are older than its fence, and let none in again."""
        self._do(lambda: self.board.refuse(lease, below_fence, self.clock()))
        logger.info("streams of the lease %s below %d are refused", lease, below_fence)

    def begin_drain(self) -> None:
        """Let no new streams in, and end those that wait for their other side."""
        self._do(lambda: self.board.drain(self.clock()))
        logger.info("draining: %d calls may go on", self.streams)

    async def drained(self, grace: float = GRACE) -> None:
        """Return when no stream is left; those that are after `grace` seconds are cut."""
        idle = anyio.Event()
        loop = asyncio.get_running_loop()
        with self._lock:
            self._idle.append(lambda: loop.call_soon_threadsafe(idle.set))
            self._tell_idle()
        with anyio.move_on_after(grace) as scope:
            await idle.wait()
        if scope.cancelled_caught:
            logger.warning("%d calls are cut", self.streams)
            self._do(self.board.cut_all)

    def health_changed(self) -> None:
        """Tell those who watch the router's health, if it is another one now."""
        with self._lock:
            for watcher in list(self._watchers):
                watcher.tell()

    def listen(self, binds: Sequence[Bind]) -> None:
        """Bind all of `binds` and take calls. Raises OSError when one cannot be bound."""
        try:
            self.ports = tuple(self._server.bind(bind) for bind in binds)
        except OSError:
            # Only a server that runs gives back what it has bound.
            self._server.start()
            self.stop()
            self.relay()
            raise
        self._server.start()

    def relay(self) -> None:
        """Do what there is to do, in this thread, until `stop`."""
        while True:
            due = self.board.next_deadline
            wait = WAKE if due is None else min(WAKE, due - self.clock())
            try:
                happening = self._server.poll(wait)
            except EOFError:
                return
            with self._lock:
                self._act(happening)
            # The event keeps its call.
            happening = None

    def stop(self) -> None:
        """Cancel what is left, and end `relay`."""
        with self._lock:
            self._server.stop()

    def _act(self, happening: Happening | None) -> None:
        try:
            if happening is not None:
                happening.tell()
            due = self.board.next_deadline
            if due is not None and due <= self.clock():
                perform(self.board.tick(self.clock()))
        except Exception:
            logger.exception("a call could not be served")
            if happening is not None:
                happening.fail()
        self._tell_idle()

    def _arrived(self, core: CoreCall) -> None:
        if core.method == STREAM_METHOD:
            StreamCall(core, self).begin()
        elif core.method in (health.CHECK, health.WATCH):
            HealthCall(core, self._watchers, self._is_serving).begin()
        else:
            core.refuse(NO_METHOD)

    def _is_serving(self) -> bool:
        return self._ready() and not self.draining

    def _do(self, decide: "Callable[[], Commands[StreamCall]]") -> None:
        with self._lock:
            perform(decide())
            for watcher in list(self._watchers):
                watcher.tell()
            self._tell_idle()

    def _tell_idle(self) -> None:
        if self._idle and not self.board.calls:
            for tell in self._idle:
                tell()
            self._idle.clear()


@asynccontextmanager
async def running_router(router: Router, binds: Sequence[Bind]) -> AsyncGenerator[Router]:
    """Serve `router` on `binds`, and yield it when it takes calls; its `ports` are in their order.

    Leaving cuts what is left; `drain` before lets streams end. Raises OSError when an address
    cannot be bound.
    """
    router.listen(binds)
    hosts = (bind.address.rpartition(":")[0] for bind in binds)
    addresses = (f"{host}:{port}" for host, port in zip(hosts, router.ports, strict=True))
    logger.info("the router serves on %s", ", ".join(addresses))
    async with background_tasks() as tasks:
        tasks.start_soon(_relay, router)
        try:
            yield router
        finally:
            router.stop()


async def _relay(router: Router) -> None:
    # A thread of its own: it must not wait for one of those that others use.
    await anyio.to_thread.run_sync(router.relay, limiter=CapacityLimiter(1))
