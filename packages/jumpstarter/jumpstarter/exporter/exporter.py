"""An exporter: sessions of its drivers with hooks around them, for a controller or by itself.

A session is served until it is asked to end, by its client's EndSession or by `stop`, or by the
controller whose lease it serves. Its hooks have a socket of their own, which accepts calls while
the client's does not.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import grpc
from grpc.aio import ServerInterceptor
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.config.hooks import HookConfigV1Alpha1
from jumpstarter.driver.base import Driver
from jumpstarter.model.errors import ConfigurationError, HookExecutionError
from jumpstarter.model.machine import Hook
from jumpstarter.model.metadata import Metadata
from jumpstarter.model.rapid_failures import RapidFailures
from jumpstarter.model.status import LogSource
from jumpstarter.rpc.channels import SystemTrust, TLSSettings
from jumpstarter.streams.background import background_tasks
from jumpstarter.streams.listeners import TemporarySocket

from .assignments import Assignments
from .attachment import Attachment
from .closing import close_drivers
from .hooks import LOGGER_NAMES, HookExecutor, HookSurroundings
from .lease_context import LeaseContext
from .leases import LeaseServer
from .link import ChannelFactory, open_link
from .performer import Performer
from .registered import RegisteredExporter
from .reports import Outbox
from .service import tree_reports
from .session import Session
from .stopping import Stopping, cancelled_by
from .tunnels import RouterAccess

STANDALONE = "standalone"
"""Name of the lease that hooks see where there is no controller to name one."""

_SOURCES = {
    Hook.BEFORE: LogSource.BEFORE_LEASE_HOOK,
    Hook.AFTER: LogSource.AFTER_LEASE_HOOK,
}


@dataclass(kw_only=True)
class Exporter(Metadata):
    """Builds a driver tree with `device_factory` for each session and serves it.

    With `channel_factory`, which connects to a controller, it can serve that controller's leases.
    Routers are trusted as `tls` says.
    """

    device_factory: Callable[[], Driver]
    channel_factory: ChannelFactory | None = None
    tls: TLSSettings = field(default_factory=SystemTrust)
    grpc_options: Mapping[str, str | int] = field(default_factory=dict[str, str | int])
    hook_executor: HookExecutor | None = None
    motd: str | None = None
    exit_on_lease_end: bool = False
    failures: RapidFailures = field(default_factory=RapidFailures)
    """How often a controller may refuse this, or a lease not be served, before it gives up."""
    exit_code: int | None = field(default=None, init=False)
    """Set when a failure must stop the exporter."""

    def __post_init__(self) -> None:
        """Prepare; nothing runs before a session is opened."""
        self._hooks = self.hook_executor or HookExecutor(HookConfigV1Alpha1())
        self._stopping = Stopping()
        self._registered: RegisteredExporter | None = None
        self._should_unregister = False

    def stop(
        self,
        wait_for_lease_exit: bool = False,  # noqa: FBT001, FBT002 - as release 0.9.0 has it
        should_unregister: bool = False,  # noqa: FBT001, FBT002 - as release 0.9.0 has it
        exit_code: int | None = None,
    ) -> None:
        """Let the session that is served end, with its afterLease hook, and the exporter after it.

        With `wait_for_lease_exit` a lease goes on to its own end. With `should_unregister` the
        controller is told, at once when the end does not wait.
        """
        self.exit_code = exit_code if self.exit_code is None else self.exit_code
        self._should_unregister = self._should_unregister or should_unregister
        self._stopping.stop(wait_for_lease_exit=wait_for_lease_exit)
        if self._registered is not None:
            self._registered.stop(should_unregister=should_unregister)

    async def serve(self, registered: Callable[[], object] = lambda: None) -> None:
        """Serve the leases of the controller until `stop`; survive the controller's absence.

        `registered` is called when the controller knows of this exporter. Raises ConfigurationError
        without a controller or when a driver cannot be built, ConnectionError of this package when
        the controller keeps refusing the exporter from the beginning.
        """
        if self.channel_factory is None:
            message = "this exporter has no controller: its file needs endpoint and token"
            raise ConfigurationError(message)
        registration = self._registration()
        async with open_link(self.channel_factory) as link:
            assignments = Assignments()
            outbox = Outbox(link, assignments)
            attachment = Attachment(link, registration, assignments, outbox, self.failures)
            router = RouterAccess(self.tls, self.grpc_options)
            leases = LeaseServer(
                link, router, assignments, outbox, self._hooks, self._session, self._stopping
            )
            self._registered = RegisteredExporter(
                attachment=attachment,
                leases=leases,
                failures=self.failures,
                exit_on_lease_end=self.exit_on_lease_end,
                should_unregister=self._should_unregister,
            )
            code = await self._registered.serve(registered)
        self.exit_code = code if self.exit_code is None else self.exit_code

    def _registration(self) -> jumpstarter_pb2.RegisterRequest:
        root = self.device_factory()
        try:
            reports = tree_reports(root.enumerate())
        finally:
            close_drivers(root)
        return jumpstarter_pb2.RegisterRequest(labels=self.labels, reports=reports)

    @asynccontextmanager
    async def open_unix(self) -> AsyncGenerator[tuple[Session, Path]]:
        """Serve a session on a temporary Unix socket; yield it, ready, and the socket's path.

        Raises HookExecutionError when the beforeLease hook failed and must not be ignored, or when
        the afterLease hook did.
        """
        with self._session() as session:
            async with (
                session.serve_unix_with_hook_socket_async() as (path, hook_path),
                self._hooked(session, hook_path),
            ):
                yield session, path

    async def serve_standalone_tcp(
        self,
        host: str,
        port: int,
        *,
        tls_credentials: grpc.ServerCredentials | None = None,
        interceptors: Sequence[ServerInterceptor] | None = None,
        started: Callable[[int], object] = lambda _: None,
    ) -> None:
        """Serve one session on a TCP port until it is asked to end; `started` is told the port.

        Raises OSError when the port cannot be had, HookExecutionError as `open_unix` does.
        """
        with self._session() as session, TemporarySocket() as hook_path:
            async with (
                session.serve_tcp_and_unix_async(
                    host,
                    port,
                    hook_path,
                    tls_credentials=tls_credentials,
                    interceptors=interceptors,
                ) as bound,
                self._hooked(session, hook_path) as end_requested,
            ):
                started(bound)
                async with cancelled_by(self._stopping.after_lease):
                    await end_requested.wait()

    def _session(self) -> Session:
        session = Session(
            uuid=self.uuid, labels=self.labels, root_device=self.device_factory(), motd=self.motd
        )
        for hook, source in _SOURCES.items():
            session.add_logger_source(LOGGER_NAMES[hook], source)
        return session

    @asynccontextmanager
    async def _hooked(self, session: Session, hook_path: Path) -> AsyncGenerator[anyio.Event]:
        lease = LeaseContext(lease_name=STANDALONE, client_name=STANDALONE)
        session.end_requested = lease.end_session_requested
        around = HookSurroundings(hook_path, lease.lease_name, lease.client_name)
        performer = Performer(session, self._hooks, around)
        await performer.begin()
        if not performer.is_ready:
            self._fail(performer, Hook.BEFORE)
        async with background_tasks() as tasks:
            tasks.start_soon(_end_when_asked, performer, lease.end_session_requested)
            try:
                yield lease.end_session_requested
            finally:
                lease.end_session_requested.set()
        if performer.exit_code is not None:
            self._fail(performer, Hook.AFTER)

    def _fail(self, performer: Performer, hook: Hook) -> None:
        self.exit_code = performer.exit_code
        raise HookExecutionError(performer.failure, performer.on_failure, hook.value)


async def _end_when_asked(performer: Performer, end_requested: anyio.Event) -> None:
    # Whatever ends the session, and even if it fails: the afterLease hook has its turn, once.
    with anyio.CancelScope(shield=True):
        await end_requested.wait()
        await performer.end()
