"""A lease in use: had when its context is entered, given back when it is left.

Between the two, `connect` gives the client of the exporter, `serve_unix` a socket that stands for
it, and `monitor` tells before the end.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

import anyio
from anyio import AsyncContextManagerMixin, ContextManagerMixin
from anyio.from_thread import BlockingPortal
from grpc.aio import Channel

from jumpstarter.model.errors import (
    ConnectionError,  # noqa: A004 - its public name
    ExporterUnreachableError,
    LeaseEndedError,
    LeaseError,
    LeaseTransferredError,
)
from jumpstarter.model.status import ExporterStatus
from jumpstarter.rpc.channels import SystemTrust, TLSSettings
from jumpstarter.streams.background import background_tasks

from .acquisition import (
    Wish,
    create_lease,
    new_lease_name,
    verify_lease,
    wait_until_granted,
)
from .base import DriverClient
from .client import client_from_path
from .clock import Clock, SystemClock
from .dialling import Dialler
from .direct import DirectLease as DirectLease
from .grpc import ClientService
from .lease_monitor import LeaseMonitor, Notice
from .records import Lease as LeaseRecord
from .releasing import release_lease
from .tables import span_text

NO_EXPORTER: Final = "remote"
"""What an exporter is called before its name is known."""

HOOK_SECONDS: Final = 1.0
"""Seconds until an exporter is tried again that is still busy with its hook."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reached:
    """An exporter that has answered: the socket that stands for it, and its client."""

    path: Path
    client: DriverClient


@dataclass(kw_only=True, eq=False)
class Lease(ContextManagerMixin, AsyncContextManagerMixin):
    """A lease of an exporter that `selector` or `requested_exporter_name` says.

    With a `name` it is that lease, which is not released at the end unless `release` says so. The
    timeouts are seconds: until a lease is granted, until a dialled exporter answers, and in which
    an exporter that cannot be reached is given up for another lease.
    """

    channel: Channel
    duration: timedelta
    selector: str | None = None
    portal: BlockingPortal
    namespace: str
    allow: Sequence[str]
    unsafe: bool
    requested_exporter_name: str | None = None
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    release: bool = True
    tls_config: TLSSettings = field(default_factory=SystemTrust)
    grpc_options: Mapping[str, str | int] = field(default_factory=dict[str, str | int])
    client_name: str | None = None
    acquisition_timeout: float = 7200
    dial_timeout: float = 60.0
    retry_timeout: float = 300.0
    lease_ending_callback: "Callable[[Lease, timedelta], object] | None" = None
    """Called when the end is near, and with no time left when it has come."""
    waiting_callback: Callable[[str], object] | None = None
    """Called with what the lease waits for, when that changes."""
    clock: Clock = field(default_factory=SystemClock)

    exporter_name: str = field(default=NO_EXPORTER, init=False)
    exporter_labels: dict[str, str] = field(default_factory=dict[str, str], init=False)
    lease_ended: bool = field(default=False, init=False)
    lease_transferred: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Prepare to ask the controller."""
        self._waits_for = ""
        self._exists = bool(self.name)
        self._held, self._given_up = anyio.Event(), anyio.Event()
        self.refresh_channel(self.channel)

    def refresh_channel(self, channel: Channel) -> None:
        """Ask the controller over `channel` from now on."""
        self.channel = channel
        self._service = ClientService(channel=channel, namespace=self.namespace)

    @contextmanager
    def __contextmanager__(self) -> Generator[Self]:
        """Have the lease inside the context; raises as `request_async`."""
        with self.portal.wrap_async_context_manager(self):
            yield self

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        """Have the lease inside the context; raises as `request_async`."""
        try:
            await self.request_async()
            yield self
        finally:
            await self._release()

    def request(self) -> Self:
        """Do as `request_async`, from another thread."""
        return self.portal.call(self.request_async)

    async def request_async(self) -> Self:
        """Have the lease: verify the one that is named, or ask for a new one, and wait for it.

        Raises LeaseError when it cannot be had, ConnectionError when the controller refuses.
        """
        with anyio.move_on_after(self.acquisition_timeout):
            await self._take(await self._granted())
            return self
        waits = f": {self._waits_for}" if self._waits_for else ""
        message = f"no lease within {self.acquisition_timeout:g} seconds{waits}"
        raise LeaseError(message)

    async def get(self) -> LeaseRecord:
        """Return how the controller describes the lease."""
        return await self._service.GetLease(name=self.name)

    @contextmanager
    def serve_unix(self) -> Generator[Path]:
        """Do as `serve_unix_async`, from another thread."""
        with self.portal.wrap_async_context_manager(self.serve_unix_async()) as path:
            yield path

    @asynccontextmanager
    async def serve_unix_async(self) -> AsyncGenerator[Path]:
        """Yield the path of a Unix socket that stands for the exporter, which was dialled.

        Raises ExporterUnreachableError, LeaseEndedError, LeaseTransferredError.
        """
        dialler = Dialler(
            channel=lambda: self.channel,
            lease=self.name,
            timeout=self.dial_timeout,
            tls_config=self.tls_config,
            grpc_options=self.grpc_options,
        )
        async with dialler.serve_unix() as path:
            yield path

    @contextmanager
    def connect(self) -> Generator[DriverClient]:
        """Yield the root client of the exporter; raises as `reach_async`."""
        with (
            ExitStack() as stack,
            self.portal.wrap_async_context_manager(self.connect_async(stack)) as client,
        ):
            yield client

    @asynccontextmanager
    async def connect_async(self, stack: ExitStack) -> AsyncGenerator[DriverClient]:
        """Yield the root client of the exporter; raises as `reach_async`."""
        async with self.reach_async(stack) as reached:
            yield reached.client

    @asynccontextmanager
    async def reach_async(self, stack: ExitStack) -> AsyncGenerator[Reached]:
        """Yield the exporter's client, and the socket that stands for it.

        An exporter that does not answer is given up for another lease, for `retry_timeout` seconds,
        unless this lease is not ours to release. Raises ExporterUnreachableError after that,
        LeaseEndedError or LeaseTransferredError when that is why.
        """
        until = self.clock.now() + self.retry_timeout
        async with AsyncExitStack() as held:
            while (reached := await self._try_to_reach(held, stack, until)) is None:
                pass
            yield reached

    @contextmanager
    def monitor(self, threshold: timedelta = timedelta(minutes=5)) -> Generator[None]:
        """Do as `monitor_async`, from another thread."""
        with self.portal.wrap_async_context_manager(self.monitor_async(threshold)):
            yield

    @asynccontextmanager
    async def monitor_async(
        self, threshold: timedelta = timedelta(minutes=5)
    ) -> AsyncGenerator[None]:
        """Watch the lease inside the context: warn `threshold` before its end, tell of the end."""
        async with background_tasks() as tasks:
            tasks.start_soon(self._watch, threshold)
            yield

    async def _granted(self) -> LeaseRecord:
        wish = Wish(
            selector=self.selector,
            exporter_name=self.requested_exporter_name,
            duration=self.duration,
            tags=self.tags,
        )
        lease = None
        if self.name:
            lease = await verify_lease(self._service, wish, self.name, self.client_name)
            if lease is None:
                _logger.warning("lease %s is for another selector: taking a new one", self.name)
                self.release = True
        while True:
            if lease is None:
                lease = await self._create(wish)
            granted = await wait_until_granted(self._service, lease, self._tell_waiting)
            if granted is not None:
                return granted
            lease = None

    async def _create(self, wish: Wish) -> LeaseRecord:
        # Known before it is asked for, so that it can be released whatever happens to the answer.
        self.name, self._exists = new_lease_name(), False
        try:
            lease = await create_lease(self._service, wish, self.name)
        except ConnectionError:
            self.name = ""
            raise
        self.name, self._exists = lease.name, True
        return lease

    async def _take(self, lease: LeaseRecord) -> None:
        self.exporter_name = lease.exporter or NO_EXPORTER
        self.duration = lease.duration
        self.client_name = self.client_name or lease.client
        self.lease_ended = self.lease_transferred = False
        try:
            exporter = await self._service.GetExporter(name=lease.exporter)
        except ConnectionError as error:
            _logger.debug("labels of exporter %s are not known: %s", lease.exporter, error)
        else:
            self.exporter_labels = exporter.labels
        self._held.set()

    def _tell_waiting(self, text: str) -> None:
        if text == self._waits_for:
            return
        self._waits_for = text
        _logger.info("lease %s: %s", self.name, text)
        if self.waiting_callback is not None:
            self.waiting_callback(text)

    async def _try_to_reach(
        self, held: AsyncExitStack, stack: ExitStack, until: float
    ) -> Reached | None:
        """Return the exporter, held open by the stacks, or None when it is to be tried again."""
        async with AsyncExitStack() as attempt:
            with ExitStack() as clients:
                try:
                    path = await attempt.enter_async_context(self.serve_unix_async())
                    client = await attempt.enter_async_context(
                        client_from_path(path, self.portal, clients, self.allow, self.unsafe)
                    )
                except LeaseTransferredError:
                    self.lease_transferred = True
                    raise
                except ExporterUnreachableError as error:
                    failure = error
                else:
                    stack.enter_context(clients.pop_all())
                    await held.enter_async_context(attempt.pop_all())
                    return Reached(path, client)
        await self._prepare_another_try(failure, until)
        return None

    async def _prepare_another_try(self, failure: ExporterUnreachableError, until: float) -> None:
        """Raise what the failure means, or see to it that another try has better prospects."""
        await self._check(failure)
        if await self._is_in_hook():
            await anyio.sleep(HOOK_SECONDS)
            return
        if not self.release or self.clock.now() >= until:
            raise failure
        _logger.warning("%s; taking another lease", failure)
        self._held = anyio.Event()
        self._given_up.set()
        await release_lease(self._service, self.name)
        self.name = ""
        await self.request_async()

    async def _check(self, failure: ExporterUnreachableError) -> None:
        """Raise the reason why the lease is no use any more, if that is so."""
        try:
            lease = await self.get()
        except ConnectionError:
            return
        if lease.effective_end_time is not None:
            self.lease_ended = True
            message = f"lease {self.name} has ended"
            raise LeaseEndedError(message) from failure
        if lease.client != self.client_name:
            self.lease_transferred = True
            message = f"lease {self.name} was transferred to {lease.client}"
            raise LeaseTransferredError(message) from failure

    async def _is_in_hook(self) -> bool:
        """Return whether the exporter is not reached only because its hook still runs."""
        try:
            exporter = await self._service.GetExporter(name=self.exporter_name)
        except ConnectionError:
            return False
        return exporter.status is ExporterStatus.BEFORE_LEASE_HOOK

    async def _watch(self, threshold: timedelta) -> None:
        while True:
            await self._held.wait()
            self._given_up = anyio.Event()
            monitor = LeaseMonitor(
                self._service, self.name, self.client_name, threshold, self.clock, self._noticed
            )
            async with background_tasks() as tasks:
                tasks.start_soon(monitor.run)
                await self._given_up.wait()

    def _noticed(self, notice: Notice, remaining: timedelta) -> None:
        match notice:
            case Notice.ENDING:
                soon = span_text(max(remaining, timedelta(seconds=1)))
                _logger.warning("lease %s ends in %s", self.name, soon)
            case Notice.ENDED:
                self.lease_ended = True
                _logger.warning("lease %s has ended", self.name)
            case Notice.TRANSFERRED:
                self.lease_transferred = True
                _logger.warning("lease %s was transferred to another client", self.name)
        if self.lease_ending_callback is not None:
            self.lease_ending_callback(self, remaining)

    async def _release(self) -> None:
        if self.release and self.name and not self.lease_ended and not self.lease_transferred:
            await release_lease(self._service, self.name, None if self._exists else 1)
