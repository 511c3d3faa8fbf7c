"""A session: one tree of drivers, served until its user has done with it.

The session owns the facts of its tree: which driver has which uuid, the status, the log. Services
on its sockets read them; who may call is decided there, per socket.
"""

import logging
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from uuid import UUID

import anyio
import grpc
from grpc.aio import Server, ServerInterceptor
from jumpstarter_protocol import jumpstarter_pb2_grpc

from jumpstarter.driver.base import Driver
from jumpstarter.driver.workers import Workers, worker_threads
from jumpstarter.model.metadata import Metadata
from jumpstarter.model.status import READY, READY_OR_HOOK, ExporterStatus, LogSource
from jumpstarter.rpc.call_server import serve_calls
from jumpstarter.rpc.call_socket import calls_path
from jumpstarter.rpc.channels import fits_in_address
from jumpstarter.rpc.portal import open_portal
from jumpstarter.rpc.servers import Bind, add_raw_stream, serve, unix_bind
from jumpstarter.streams.broadcast import Broadcast
from jumpstarter.streams.listeners import TemporarySocket

from .closing import close_drivers
from .in_progress import InProgress
from .local_calls import LocalCalls
from .logging import HISTORY, LogHandler, SourceRegistry
from .service import SessionService
from .state import SessionState

logger = logging.getLogger(__name__)

CLEANUP_SECONDS: Final = 10.0
"""Seconds that calls have to clean up when their session ends."""


@dataclass(kw_only=True)
class Session(Metadata, SourceRegistry):
    """Serves `root_device` and the drivers below it; a context manager.

    Entering resets the drivers, leaving closes them; an error in closing one is logged and hinders
    nothing. The status starts as AVAILABLE, which lets no client call: see `update_status`.
    """

    root_device: Driver
    motd: str | None = None
    end_requested: anyio.Event | None = None
    """Set when a client asks to end the session; None where there is no lease to end."""
    mapping: dict[UUID, Driver] = field(init=False)
    state: SessionState = field(init=False)
    log: Broadcast[logging.LogRecord] = field(init=False)

    def __post_init__(self) -> None:
        """Number the tree."""
        SourceRegistry.__init__(self)
        self.rows = self.root_device.enumerate()
        self.mapping = {uuid: driver for uuid, _, _, driver in self.rows}
        self.state = SessionState()
        self.log = Broadcast(history=HISTORY)
        self._stack = ExitStack()

    def __getitem__(self, uuid: UUID) -> Driver:
        """Return the driver with `uuid`; raises KeyError."""
        return self.mapping[uuid]

    def __enter__(self) -> Self:
        """Reset the drivers and begin to collect log records."""
        with ExitStack() as stack:
            handler = LogHandler(self.log)
            root = logging.getLogger()
            root.addHandler(handler)
            stack.callback(root.removeHandler, handler)
            stack.callback(close_drivers, self.root_device)
            self.root_device.reset()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the drivers and stop collecting log records."""
        self._stack.close()

    @property
    def status(self) -> ExporterStatus:
        """What the session is doing."""
        return self.state.current.status

    def update_status(self, status: ExporterStatus, message: str = "") -> None:
        """Set the status; a client can call in LEASE_READY, a hook also while it runs."""
        self.state.update(status, message)

    @contextmanager
    def context_log_source(self, name: str, source: LogSource) -> Generator[None]:
        """Report records of the logger `name` as coming from `source` inside the context."""
        before = self.sources.get(name)
        self.sources[name] = source
        try:
            yield
        finally:
            if before is None:
                del self.sources[name]
            else:
                self.sources[name] = before

    @contextmanager
    def serve_unix(self) -> Generator[Path]:
        """Serve on a temporary Unix socket from a thread of its own; yield the socket's path."""
        with (
            open_portal() as portal,
            portal.wrap_async_context_manager(self.serve_unix_async()) as path,
        ):
            yield path

    @asynccontextmanager
    async def serve_unix_async(self, *, calls_socket: bool = True) -> AsyncGenerator[Path]:
        """Serve on a temporary Unix socket, for clients and hooks alike; yield its path.

        With `calls_socket` there is another beside it, over which clients of this machine call.
        """
        async with self._serve_temporary(READY_OR_HOOK, calls_socket=calls_socket) as path:
            yield path

    @asynccontextmanager
    async def serve_unix_with_hook_socket_async(self) -> AsyncGenerator[tuple[Path, Path]]:
        """Serve on two temporary Unix sockets: yield the one for clients and the one for hooks.

        Clients wait while a hook runs: their socket accepts calls in LEASE_READY alone.
        """
        async with (
            self.serve_clients_async(calls_socket=True) as main,
            self.serve_unix_async(calls_socket=False) as hook,
        ):
            yield main, hook

    @asynccontextmanager
    async def serve_clients_async(self, *, calls_socket: bool = False) -> AsyncGenerator[Path]:
        """Serve on a temporary Unix socket that accepts calls in LEASE_READY alone; yield its path.

        `calls_socket` is for clients of this machine. Once the context is left no call has any
        effect, even one that had arrived already.
        """
        async with self._serve_temporary(READY, calls_socket=calls_socket) as path:
            yield path

    @asynccontextmanager
    async def _serve_temporary(
        self, allowed: frozenset[ExporterStatus], *, calls_socket: bool
    ) -> AsyncGenerator[Path]:
        with TemporarySocket() as path:
            beside = calls_path(path)
            calls = beside if calls_socket and fits_in_address(beside) else None
            async with self._serve([unix_bind(path)], allowed=allowed, calls=calls):
                yield path

    @asynccontextmanager
    async def serve_port_async(self, port: str) -> AsyncGenerator[None]:
        """Serve on one address in gRPC's form, without TLS."""
        async with self._serve([Bind(port)]):
            yield

    @asynccontextmanager
    async def serve_multi_port_async(self, *ports: str) -> AsyncGenerator[None]:
        """Serve on several addresses in gRPC's form, without TLS."""
        async with self._serve([Bind(port) for port in ports]):
            yield

    @asynccontextmanager
    async def serve_tcp_async(
        self,
        host: str,
        port: int,
        *,
        tls_credentials: grpc.ServerCredentials | None = None,
        interceptors: Sequence[ServerInterceptor] | None = None,
    ) -> AsyncGenerator[int]:
        """Serve on a TCP port and yield it, the real one where `port` is 0.

        Without `tls_credentials` everything crosses the network in the clear. Raises OSError when
        the port cannot be had.
        """
        bind = Bind(tcp_address(host, port), tls_credentials)
        async with self._serve([bind], interceptors=interceptors or ()) as ports:
            yield ports[0]

    @asynccontextmanager
    async def serve_tcp_and_unix_async(
        self,
        host: str,
        port: int,
        unix_path: str | Path,
        *,
        tls_credentials: grpc.ServerCredentials | None = None,
        interceptors: Sequence[ServerInterceptor] | None = None,
    ) -> AsyncGenerator[int]:
        """Serve clients on a TCP port, which is yielded, and hooks on a Unix socket."""
        bind = Bind(tcp_address(host, port), tls_credentials)
        async with (
            self._serve([bind], allowed=READY, interceptors=interceptors or ()) as ports,
            self._serve([unix_bind(unix_path)]),
        ):
            yield ports[0]

    @asynccontextmanager
    async def _serve(
        self,
        binds: Sequence[Bind],
        *,
        allowed: frozenset[ExporterStatus] = READY_OR_HOOK,
        interceptors: Sequence[ServerInterceptor] = (),
        calls: Path | None = None,
    ) -> AsyncGenerator[list[int]]:
        async with worker_threads() as workers, self._service(allowed, workers) as service:

            def register(server: Server) -> None:
                jumpstarter_pb2_grpc.add_ExporterServiceServicer_to_server(service, server)
                add_raw_stream(server, service.Stream)

            answer = LocalCalls(service).answer
            async with (
                serve(register, binds, interceptors) as ports,
                nullcontext() if calls is None else serve_calls(calls, answer),
            ):
                try:
                    yield ports
                finally:
                    service.close()

    @asynccontextmanager
    async def _service(
        self, allowed: frozenset[ExporterStatus], workers: Workers
    ) -> AsyncGenerator[SessionService]:
        """Yield the service of one socket; leaving waits for its calls."""
        service = SessionService(self, allowed, workers)
        try:
            yield service
        finally:
            await self._let_end(service.in_progress)

    async def _let_end(self, calls: InProgress) -> None:
        """Wait a bounded time for calls that were cancelled to clean up after themselves."""
        with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
            await calls.wait_for_none()
            return
        logger.warning("%d calls have not ended: a driver holds them up", calls.count)


def tcp_address(host: str, port: int) -> str:
    """Return an address in gRPC's form; an IPv6 host gets its brackets."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"
