"""What the tests of the services share: a controller that runs, and callers of every kind."""

from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import grpc
import pytest
from grpc.aio import AioRpcError, Channel, UnaryStreamCall
from jumpstarter.model.status import ExporterStatus
from jumpstarter.rpc.channels import aio_secure_channel
from jumpstarter_protocol import (
    admin_pb2,
    admin_pb2_grpc,
    client_pb2,
    client_pb2_grpc,
    jumpstarter_pb2,
    jumpstarter_pb2_grpc,
)
from jumpstarter_protocol.aio import (
    AdminServiceAsyncStub,
    ClientServiceAsyncStub,
    ControllerServiceAsyncStub,
    RouterRegistryServiceAsyncStub,
)

from jumpstarter_controller.config import Config
from jumpstarter_controller.server import Controller, running_controller
from jumpstarter_controller.services.dialing import Patience

NAMESPACE = "lab"
PARENT = f"namespaces/{NAMESPACE}"
NO_PATIENCE = Patience(status=0.0, rest=0.0)
DEADLINE = 20.0

Metadata = tuple[tuple[str, str], ...]


def metadata(token: str, kind: str, name: str, namespace: str = NAMESPACE) -> Metadata:
    """Return what a caller says of itself."""
    return (
        ("authorization", f"Bearer {token}"),
        ("jumpstarter-kind", kind),
        ("jumpstarter-namespace", namespace),
        ("jumpstarter-name", name),
    )


@dataclass(frozen=True)
class Site:
    """A controller, a channel to it, and short ways to call it."""

    controller: Controller
    channel: Channel

    @property
    def admin(self) -> AdminServiceAsyncStub:
        return admin_pb2_grpc.AdminServiceStub(self.channel)

    @property
    def client(self) -> ClientServiceAsyncStub:
        return client_pb2_grpc.ClientServiceStub(self.channel)

    @property
    def lab(self) -> ControllerServiceAsyncStub:
        return jumpstarter_pb2_grpc.ControllerServiceStub(self.channel)

    @property
    def registry(self) -> RouterRegistryServiceAsyncStub:
        return admin_pb2_grpc.RouterRegistryServiceStub(self.channel)

    @property
    def root(self) -> Metadata:
        """Who the administrator is."""
        return metadata(self.controller.admin.token, "Admin", "admin")

    async def new_client(self, name: str = "ann", **labels: str) -> Metadata:
        request = admin_pb2.CreateClientRequest(parent=PARENT, client_id=name, labels=labels)
        made = await self.admin.CreateClient(request, metadata=self.root)
        return metadata(made.credential.token, "Client", name)

    async def new_exporter(
        self, name: str = "board", *, ready: bool = True, **labels: str
    ) -> Metadata:
        """Make an exporter; unless it is not to be `ready`, it registers and is available."""
        request = admin_pb2.CreateExporterRequest(parent=PARENT, exporter_id=name, labels=labels)
        made = await self.admin.CreateExporter(request, metadata=self.root)
        own = metadata(made.credential.token, "Exporter", name)
        if ready:
            report = jumpstarter_pb2.DriverInstanceReport(uuid="root")
            await self.lab.Register(jumpstarter_pb2.RegisterRequest(reports=[report]), metadata=own)
            await self.report(own, ExporterStatus.AVAILABLE)
        return own

    async def report(self, exporter: Metadata, status: ExporterStatus, **more: Any) -> None:
        request = jumpstarter_pb2.ReportStatusRequest(status=int(status), **more)  # pyright: ignore[reportArgumentType] - an open enum
        await self.lab.ReportStatus(request, metadata=exporter)

    async def new_router(self, name: str = "one", load: float = 0, **labels: str) -> None:
        await self.controller.engine.report_router(name, f"{name}.example.com:8083", labels, load)
        self.controller.routing.reported(name)

    async def lease(self, client: Metadata, **fields: Any) -> client_pb2.Lease:
        """Make a lease, of an hour unless told otherwise, of any exporter unless told otherwise."""
        selector: str = fields.pop("selector", "!none")
        wanted = client_pb2.Lease(selector=selector, **fields)
        if not fields.keys() & {"duration", "end_time"}:
            wanted.duration.FromSeconds(3600)
        request = client_pb2.CreateLeaseRequest(parent=PARENT, lease=wanted)
        return await self.client.CreateLease(request, metadata=client)

    async def get(self, client: Metadata, lease: client_pb2.Lease) -> client_pb2.Lease:
        return await self.client.GetLease(
            client_pb2.GetLeaseRequest(name=lease.name), metadata=client
        )

    async def dial(self, client: Metadata, lease: client_pb2.Lease) -> jumpstarter_pb2.DialResponse:
        request = jumpstarter_pb2.DialRequest(lease_name=bare(lease))
        return await self.lab.Dial(request, metadata=client, timeout=DEADLINE)

    @asynccontextmanager
    async def listening(
        self, exporter: Metadata, lease: client_pb2.Lease
    ) -> AsyncGenerator["UnaryStreamCall[Any, jumpstarter_pb2.ListenResponse]"]:
        """Yield a Listen that the controller has taken up."""
        request = jumpstarter_pb2.ListenRequest(lease_name=bare(lease))
        call = self.lab.Listen(request, metadata=exporter)
        await call.wait_for_connection()
        try:
            yield call
        finally:
            call.cancel()


def bare(lease: client_pb2.Lease) -> str:
    return lease.name.rpartition("/")[2]


@asynccontextmanager
async def running_site(config: Config) -> AsyncGenerator[Site]:
    async with running_controller(config) as controller:
        credentials = grpc.ssl_channel_credentials(controller.ca.encode())
        async with aio_secure_channel(controller.address, credentials) as channel:
            yield Site(controller, channel)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(
        data=tmp_path / "data", namespace=NAMESPACE, grpc="127.0.0.1:0", patience=NO_PATIENCE
    )


@pytest.fixture
async def site(config: Config) -> AsyncGenerator[Site]:
    """A controller without anybody; who dials too early is told so at once."""
    async with running_site(config) as running:
        yield running


@pytest.fixture
async def patient_site(config: Config) -> AsyncGenerator[Site]:
    """A controller without anybody; who dials too early waits."""
    async with running_site(replace(config, patience=Patience(status=15.0, rest=15.0))) as running:
        yield running


async def refusal(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    """Return how a call was refused."""
    with anyio.fail_after(DEADLINE), pytest.raises(AioRpcError) as error:
        await call
    return error.value.code(), error.value.details() or ""


async def exporter_of(site: Site, name: str = "board") -> admin_pb2.Exporter:
    request = admin_pb2.GetExporterRequest(name=f"{PARENT}/exporters/{name}")
    return await site.admin.GetExporter(request, metadata=site.root)


async def leased(
    site: Site, status: ExporterStatus | None = None
) -> tuple[Metadata, Metadata, client_pb2.Lease]:
    """Return a client, an exporter and the lease between them; there is a router."""
    ann, board = await site.new_client(), await site.new_exporter()
    await site.new_router()
    lease = await site.lease(ann)
    if status is not None:
        await site.report(board, status)
    return ann, board, lease
