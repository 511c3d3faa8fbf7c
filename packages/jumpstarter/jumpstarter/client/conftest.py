"""Far sides that answer as a test wants: exporters, and a controller with leases."""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import grpc
import pytest
from anyio import BrokenResourceError
from anyio.from_thread import BlockingPortal
from google.protobuf.empty_pb2 import Empty
from grpc.aio import Server, ServicerContext
from jumpstarter_protocol import (
    client_pb2,
    client_pb2_grpc,
    jumpstarter_pb2,
    jumpstarter_pb2_grpc,
    router_pb2_grpc,
)
from typing_extensions import override

from jumpstarter.client.lease import Lease
from jumpstarter.config.client import ClientConfigV1Alpha1, ObjectMeta
from jumpstarter.conftest import Certificate, MockController, MockRouter
from jumpstarter.rpc.channels import connect, tcp_target, unix_target
from jumpstarter.rpc.servers import Bind, serve, unix_bind
from jumpstarter.rpc.stub import MultipathExporterStub
from jumpstarter.rpc.tunnel import connect_router_stream
from jumpstarter.streams.listeners import TemporarySocket
from jumpstarter.streams.sockets import connect_unix

Context = ServicerContext[Any, Any]
Refusal = tuple[grpc.StatusCode, str]
NAMESPACE, ME, EXPORTER = "lab", "me", "bench"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
GRANTED = ("Ready", "True", "Ready", "")


@asynccontextmanager
async def serving(servicer: jumpstarter_pb2_grpc.ExporterServiceServicer) -> AsyncGenerator[Path]:
    """Serve `servicer` on a temporary socket and yield its path."""

    def register(server: Server) -> None:
        jumpstarter_pb2_grpc.add_ExporterServiceServicer_to_server(servicer, server)

    with TemporarySocket() as path:
        async with serve(register, [unix_bind(path)]):
            yield path


@asynccontextmanager
async def stub_of(path: Path) -> AsyncGenerator[MultipathExporterStub]:
    """Yield what calls the exporter at `path`."""
    async with connect(unix_target(path)) as channel:
        yield MultipathExporterStub([channel])


def lease_message(name: str, *conditions: tuple[str, str, str, str], **more: Any):
    """Return a lease of ours for half an hour; a condition is type, status, reason, message."""
    fields: dict[str, Any] = {
        "selector": "board=x",
        "client": f"namespaces/{NAMESPACE}/clients/{ME}",
        **more,
    }
    message = client_pb2.Lease(name=f"namespaces/{NAMESPACE}/leases/{name}", **fields)
    message.duration.FromTimedelta(timedelta(minutes=30))
    set_conditions(message, *conditions)
    return message


def set_conditions(message: client_pb2.Lease, *conditions: tuple[str, str, str, str]) -> None:
    """Let these be the conditions; a lease that is ready has an exporter and a begin."""
    del message.conditions[:]
    for kind, status, reason, text in conditions:
        message.conditions.add(type=kind, status=status, reason=reason, message=text)
    if GRANTED in conditions:
        message.exporter = f"namespaces/{NAMESPACE}/exporters/{EXPORTER}"
        lasts(message, timedelta(0))


def lasts(message: client_pb2.Lease, elapsed: timedelta) -> None:
    """Let the lease have begun, and `elapsed` be over of it."""
    message.effective_begin_time.FromDatetime(BEGAN)
    message.effective_duration.FromTimedelta(elapsed)


def end(message: client_pb2.Lease) -> None:
    """Let the lease be over."""
    message.effective_end_time.FromDatetime(BEGAN)


class FakeClientService(client_pb2_grpc.ClientServiceServicer):
    """Knows leases and exporters; a test says how new leases begin, and what fails.

    `tells` false makes it a controller of release 0.9.0, which has no WatchLease.
    """

    def __init__(self) -> None:
        self.leases: dict[str, client_pb2.Lease] = {}
        self.exporters: dict[str, client_pb2.Exporter] = {}
        self.begin: deque[tuple[tuple[str, str, str, str], ...]] = deque()
        self.refusals: dict[str, deque[Refusal]] = {}
        self.lost_answers = 0
        self.asked = anyio.Event()
        self.before_answer: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint
        self.tells = True
        self.calls: list[str] = []
        self.requests: list[Any] = []
        self.metadata: list[dict[str, str]] = []
        self.deleted: list[str] = []
        self._news = anyio.Event()

    def change(self, name: str, change: Callable[[client_pb2.Lease], object]) -> None:
        """Change a lease and tell those who watch it."""
        change(self.leases[name])
        self._news.set()
        self._news = anyio.Event()

    def refuse(self, method: str, *refusals: Refusal) -> None:
        """Let the next calls of `method` fail."""
        self.refusals.setdefault(method, deque()).extend(refusals)

    async def _called(self, method: str, request: Any, context: Context) -> None:
        self.calls.append(method)
        self.requests.append(request)
        self.metadata.append({k: str(v) for k, v in context.invocation_metadata() or ()})
        if self.refusals.get(method):
            await context.abort(*self.refusals[method].popleft())

    async def _lease(self, path: str, context: Context) -> client_pb2.Lease:
        name = path.rpartition("/")[2]
        if name not in self.leases:
            await context.abort(grpc.StatusCode.UNKNOWN, f"lease {name} not found")
        return self.leases[name]

    @override
    async def GetLease(self, request: client_pb2.GetLeaseRequest, context: Context):  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        await self._called("GetLease", request, context)
        return await self._lease(request.name, context)

    @override
    async def WatchLease(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: client_pb2.WatchLeaseRequest, context: Context
    ) -> AsyncIterator[client_pb2.Lease]:
        await self._called("WatchLease", request, context)
        if not self.tells:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        while True:
            news = self._news
            lease = await self._lease(request.name, context)
            yield lease
            if lease.HasField("effective_end_time"):
                return
            await news.wait()
            if self.refusals.get("WatchLease"):
                await context.abort(*self.refusals["WatchLease"].popleft())

    @override
    async def CreateLease(self, request: client_pb2.CreateLeaseRequest, context: Context):  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        await self._called("CreateLease", request, context)
        if request.lease_id in self.leases:
            await context.abort(grpc.StatusCode.UNKNOWN, "lease already exists")
        name = request.lease_id or f"lease-{len(self.leases)}"
        lease = lease_message(name, *(self.begin.popleft() if self.begin else (GRANTED,)))
        lease.selector = request.lease.selector
        lease.duration.CopyFrom(request.lease.duration)
        self.leases[name] = lease
        self.asked.set()
        await self.before_answer()
        if self.lost_answers:
            self.lost_answers -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
        return lease

    @override
    async def UpdateLease(self, request: client_pb2.UpdateLeaseRequest, context: Context):  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        await self._called("UpdateLease", request, context)
        return await self._lease(request.lease.name, context)

    @override
    async def DeleteLease(self, request: client_pb2.DeleteLeaseRequest, context: Context):  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        await self._called("DeleteLease", request, context)
        self.deleted.append((await self._lease(request.name, context)).name.rpartition("/")[2])
        return Empty()

    @override
    async def GetExporter(self, request: client_pb2.GetExporterRequest, context: Context):  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        await self._called("GetExporter", request, context)
        name = request.name.rpartition("/")[2]
        if name not in self.exporters:
            await context.abort(grpc.StatusCode.UNKNOWN, f"exporter {name} not found")
        return self.exporters[name]

    @override
    async def ListLeases(self, request: client_pb2.ListLeasesRequest, context: Context):  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        await self._called("ListLeases", request, context)
        page, token = _page(list(self.leases.values()), request.page_size, request.page_token)
        return client_pb2.ListLeasesResponse(leases=page, next_page_token=token)

    @override
    async def ListExporters(self, request: client_pb2.ListExportersRequest, context: Context):  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        await self._called("ListExporters", request, context)
        page, token = _page(list(self.exporters.values()), request.page_size, request.page_token)
        return client_pb2.ListExportersResponse(exporters=page, next_page_token=token)

    @override
    async def RotateToken(self, request: client_pb2.RotateTokenRequest, context: Context):  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        await self._called("RotateToken", request, context)
        return client_pb2.RotateTokenResponse(token="new token")

    def add_exporter(self, name: str, labels: Mapping[str, str] | None = None, **more: Any) -> None:
        """Let there be an exporter."""
        path = f"namespaces/{NAMESPACE}/exporters/{name}"
        self.exporters[name] = client_pb2.Exporter(name=path, labels=labels or {}, **more)


def _page(items: list[Any], size: int, token: str) -> tuple[list[Any], str]:
    begin = int(token or 0)
    after = begin + (size or len(items))
    return items[begin:after], str(after) if after < len(items) else ""


class FakeController(MockController):
    """A mock controller whose next Dials fail as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals: deque[Refusal] = deque()
        self.dialled: list[str] = []

    @override
    async def Dial(self, request: jumpstarter_pb2.DialRequest, context: Context):
        self.dialled.append(request.lease_name)
        if self.refusals:
            await context.abort(*self.refusals.popleft())
        return await super().Dial(request, context)


@dataclass
class FakeLab:
    """A controller with leases and a router, on one TLS port."""

    address: str
    certificate: Certificate
    service: FakeClientService
    controller: FakeController
    config: ClientConfigV1Alpha1 = field(init=False)

    def __post_init__(self) -> None:
        self.config = ClientConfigV1Alpha1(
            metadata=ObjectMeta(namespace=NAMESPACE, name=ME),
            endpoint=self.address,
            token="secret",
            tls=self.certificate.tls,
        )
        self.config.drivers.unsafe = True

    @asynccontextmanager
    async def lease(self, **fields: Any) -> AsyncGenerator[Lease]:
        """Yield a lease that nobody has asked for yet; its portal does not run by itself."""
        async with await self.config.channel() as channel:
            usual: dict[str, Any] = {
                "channel": channel,
                "duration": timedelta(minutes=30),
                "selector": "board=x",
                "portal": BlockingPortal(),
                "namespace": NAMESPACE,
                "allow": [],
                "unsafe": True,
                "tls_config": self.certificate.tls,
                "client_name": ME,
            }
            yield Lease(**usual | fields)

    @asynccontextmanager
    async def offered(self, path: Path, lease: str) -> AsyncGenerator[None]:
        """Let clients of the lease reach the session at `path`, as an exporter does."""

        async def join(heard: jumpstarter_pb2.ListenResponse) -> None:
            local = await connect_unix(path)
            with suppress(BrokenResourceError):
                async with connect_router_stream(
                    heard.router_endpoint, heard.router_token, local, self.certificate.tls
                ):
                    pass

        async with (
            connect(await tcp_target(self.address, self.certificate.tls)) as channel,
            anyio.create_task_group() as tasks,
        ):
            stub = jumpstarter_pb2_grpc.ControllerServiceStub(channel)
            await stub.Register(jumpstarter_pb2.RegisterRequest())
            listen = stub.Listen(jumpstarter_pb2.ListenRequest(lease_name=lease))

            async def answer_dials() -> None:
                async for heard in listen:
                    tasks.start_soon(join, heard)

            tasks.start_soon(answer_dials)
            yield
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def serve_fake_lab(certificate: Certificate) -> AsyncGenerator[FakeLab]:
    """Serve a lab whose answers a test decides."""
    service, controller = FakeClientService(), FakeController()
    service.add_exporter(EXPORTER, {"board": "x"}, online=True)

    def register(server: Server) -> None:
        client_pb2_grpc.add_ClientServiceServicer_to_server(service, server)
        jumpstarter_pb2_grpc.add_ControllerServiceServicer_to_server(controller, server)
        router_pb2_grpc.add_RouterServiceServicer_to_server(MockRouter(), server)

    async with serve(register, [Bind("127.0.0.1:0", certificate.server)]) as ports:
        controller.endpoint = f"127.0.0.1:{ports[0]}"
        yield FakeLab(controller.endpoint, certificate, service, controller)


@pytest.fixture
async def lab(certificate: Certificate) -> AsyncGenerator[FakeLab]:
    """A lab whose answers a test decides."""
    async with serve_fake_lab(certificate) as lab:
        yield lab
