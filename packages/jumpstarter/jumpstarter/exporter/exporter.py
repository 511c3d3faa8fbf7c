"""An exporter without a controller: one session after the other wishes, hooks around it.

The session is served until it is asked to end, by its client's EndSession or by `stop`. Its hooks
have a socket of their own, which accepts calls while the client's does not.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import grpc
from grpc.aio import ServerInterceptor

from jumpstarter.config.hooks import HookConfigV1Alpha1
from jumpstarter.driver.base import Driver
from jumpstarter.model.errors import HookExecutionError
from jumpstarter.model.machine import Hook
from jumpstarter.model.metadata import Metadata
from jumpstarter.model.status import LogSource
from jumpstarter.streams.background import background_tasks
from jumpstarter.streams.listeners import TemporarySocket

from .hooks import LOGGER_NAMES, HookExecutor, HookSurroundings
from .lease_context import LeaseContext
from .performer import Performer
from .session import Session

STANDALONE = "standalone"
"""Name of the lease that hooks see where there is no controller to name one."""

_SOURCES = {
    Hook.BEFORE: LogSource.BEFORE_LEASE_HOOK,
    Hook.AFTER: LogSource.AFTER_LEASE_HOOK,
}


@dataclass(kw_only=True)
class Exporter(Metadata):
    """Builds a driver tree with `device_factory` for each session and serves it."""

    device_factory: Callable[[], Driver]
    hooks: HookConfigV1Alpha1 = field(default_factory=HookConfigV1Alpha1)
    motd: str | None = None
    exit_code: int | None = field(default=None, init=False)
    """Set when a hook's failure must stop the exporter."""

    def __post_init__(self) -> None:
        """Prepare; nothing runs before a session is opened."""
        self._stopping = anyio.Event()

    def stop(self) -> None:
        """Let the session that is served end, with its afterLease hook."""
        self._stopping.set()

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
                await self._until_either(end_requested)

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
        performer = Performer(session, HookExecutor(self.hooks), around)
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

    async def _until_either(self, end_requested: anyio.Event) -> None:
        async with anyio.create_task_group() as tasks:

            async def wait(event: anyio.Event) -> None:
                await event.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(wait, end_requested)
            tasks.start_soon(wait, self._stopping)


async def _end_when_asked(performer: Performer, end_requested: anyio.Event) -> None:
    # Whatever ends the session, and even if it fails: the afterLease hook has its turn, once.
    with anyio.CancelScope(shield=True):
        await end_requested.wait()
        await performer.end()
