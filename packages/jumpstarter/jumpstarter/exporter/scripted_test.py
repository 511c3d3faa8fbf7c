"""A controller that does as a test says and notes what it hears; the first life of an exporter.

It keeps to `spec/controller.md`: Status tells the present state at once, and then each change. What
it knows outlives its server, which can be killed and started again at the same address.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import grpc
from grpc.aio import Channel, Server, ServicerContext
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc, router_pb2_grpc
from typing_extensions import override

from jumpstarter.client import DriverClient
from jumpstarter.config.hooks import HookConfigV1Alpha1
from jumpstarter.conftest import Certificate, MockRouter
from jumpstarter.driver import Driver
from jumpstarter.exporter.conftest import Probe, client_for
from jumpstarter.exporter.exporter import Exporter
from jumpstarter.exporter.hooks import HookExecutor
from jumpstarter.model.metadata import NAME_LABEL
from jumpstarter.model.rapid_failures import RapidFailures
from jumpstarter.model.status import ExporterStatus
from jumpstarter.rpc.channels import aio_secure_channel, ssl_channel_credentials
from jumpstarter.rpc.servers import Bind, serve
from jumpstarter.rpc.tunnel import connect_router_stream
from jumpstarter.streams.listeners import TemporaryUnixListener
from jumpstarter.streams.sockets import SocketStream

Context = ServicerContext[Any, Any]
Told = tuple[bool, str, str]
"""What Status tells: leased, the lease and its client."""

FREE: Told = (False, "", "")
READY, AVAILABLE = "LEASE_READY", "AVAILABLE"


@dataclass
class ScriptedController(jumpstarter_pb2_grpc.ControllerServiceServicer):
    """Notes in `heard` what it is told: methods, and statuses by their names."""

    endpoint: str = ""
    heard: list[str] = field(default_factory=list[str])
    messages: dict[str, str] = field(default_factory=dict[str, str])
    """The last message that came with each status."""
    registration: jumpstarter_pb2.RegisterRequest | None = None
    refusals: dict[str, list[grpc.StatusCode]] = field(
        default_factory=dict[str, list[grpc.StatusCode]]
    )
    """What the next calls of a method end in."""
    releases: bool = True
    """Whether a lease that is given back ends at once."""
    state: Told = FREE
    token_prefix: str | None = None
    """What router tokens begin with."""
    dials: int = 0

    def __post_init__(self) -> None:
        self._streams: list[deque[Told]] = []
        self._dialled: dict[str, deque[jumpstarter_pb2.ListenResponse]] = {}
        self._news = anyio.Event()

    def lease(self, name: str, client: str = "anna") -> None:
        """Give the exporter to a client."""
        self._assign((True, name, client))

    def end(self) -> None:
        """End the lease."""
        self._assign(FREE)

    def dial(self, lease: str) -> str:
        """Invite the exporter to meet a client, and return the token for both."""
        self.dials += 1
        token = f"{self.token_prefix or lease}.{self.dials}"
        answer = jumpstarter_pb2.ListenResponse(router_endpoint=self.endpoint, router_token=token)
        self._dialled.setdefault(lease, deque()).append(answer)
        self._tell()
        return token

    async def hears(self, *expected: str) -> None:
        """Return when all that was heard since the last time is `expected`, in this order."""
        await self.until(lambda: len(self.heard) >= len(expected))
        assert self.heard[: len(expected)] == list(expected)
        del self.heard[: len(expected)]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when something was heard that makes `condition` hold."""
        with anyio.fail_after(20):
            while not condition():
                await self._news.wait()

    @override
    async def Register(
        self, request: jumpstarter_pb2.RegisterRequest, context: Context
    ) -> jumpstarter_pb2.RegisterResponse:
        await self._enter("Register", context)
        self.registration = request
        return jumpstarter_pb2.RegisterResponse(uuid="exporter")

    @override
    async def Unregister(
        self, request: jumpstarter_pb2.UnregisterRequest, context: Context
    ) -> jumpstarter_pb2.UnregisterResponse:
        await self._enter("Unregister", context)
        return jumpstarter_pb2.UnregisterResponse()

    @override
    async def ReportStatus(
        self, request: jumpstarter_pb2.ReportStatusRequest, context: Context
    ) -> jumpstarter_pb2.ReportStatusResponse:
        name = str(ExporterStatus.from_proto(request.status))
        self.messages[name] = request.message
        await self._enter("ReportStatus", context, name + "+release" * request.release_lease)
        if request.release_lease and self.releases:
            self.end()
        return jumpstarter_pb2.ReportStatusResponse()

    @override
    async def ReleaseLease(
        self, request: jumpstarter_pb2.ReleaseLeaseRequest, context: Context
    ) -> jumpstarter_pb2.ReleaseLeaseResponse:
        await self._enter("ReleaseLease", context, f"release {request.name}")
        if self.releases and request.name == self.state[1]:
            self.end()
        return jumpstarter_pb2.ReleaseLeaseResponse()

    @override
    async def Status(
        self, request: jumpstarter_pb2.StatusRequest, context: Context
    ) -> AsyncIterator[jumpstarter_pb2.StatusResponse]:
        await self._enter("Status", context)
        queue = deque([self.state])
        self._streams.append(queue)
        try:
            while True:
                while queue:
                    leased, lease, client = queue.popleft()
                    yield jumpstarter_pb2.StatusResponse(
                        leased=leased, lease_name=lease or None, client_name=client or None
                    )
                await self._news.wait()
        finally:
            self._streams.remove(queue)

    @override
    async def Listen(
        self, request: jumpstarter_pb2.ListenRequest, context: Context
    ) -> AsyncIterator[jumpstarter_pb2.ListenResponse]:
        await self._enter("Listen", context)
        queue = self._dialled.setdefault(request.lease_name, deque())
        while True:
            while queue:
                yield queue.popleft()
            await self._news.wait()

    async def _enter(self, method: str, context: Context, note: str | None = None) -> None:
        if queue := self.refusals.get(method):
            self._hear(f"{method} refused")
            await context.abort(queue.pop(0), f"no {method}")
        if method != "Listen":
            # It comes and goes beside the rest, in no order with it.
            self._hear(note or method)

    def _assign(self, told: Told) -> None:
        self.state = told
        for queue in self._streams:
            queue.append(told)
        self._tell()

    def _hear(self, what: str) -> None:
        self.heard.append(what)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()


@dataclass
class ScriptedLab:
    """A controller and a router; only the controller's server comes and goes."""

    controller: ScriptedController
    certificate: Certificate
    port: int = 0
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start the controller's server, the second time at the port of the first."""

        def register(server: Server) -> None:
            jumpstarter_pb2_grpc.add_ControllerServiceServicer_to_server(self.controller, server)

        bind = Bind(self.address, self.certificate.server)
        self.port = (await self._running.enter_async_context(serve(register, [bind])))[0]

    async def kill(self) -> None:
        """End the controller's server, and all calls with it."""
        await self._running.aclose()

    async def connect(self) -> Channel:
        credentials = await ssl_channel_credentials(self.address, self.certificate.tls)
        return aio_secure_channel(self.address, credentials)

    def exporter(
        self, build: Callable[[], Driver] = Probe, hooks: HookConfigV1Alpha1 | None = None
    ) -> Exporter:
        return Exporter(
            labels={NAME_LABEL: "desk"},
            device_factory=build,
            channel_factory=self.connect,
            tls=self.certificate.tls,
            hook_executor=HookExecutor(hooks or HookConfigV1Alpha1()),
            failures=RapidFailures(limit=2),
        )

    @asynccontextmanager
    async def serving(self, exporter: Exporter) -> AsyncGenerator[None]:
        """Serve the exporter until it stops by itself or at the end of the context."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(exporter.serve)
            yield
            exporter.stop(should_unregister=True)

    @asynccontextmanager
    async def leased(self, exporter: Exporter, lease: str = "one") -> AsyncGenerator[None]:
        """Serve the exporter with a lease that is ready for its client; nothing is heard yet."""
        async with self.serving(exporter):
            await self.controller.hears("Register", AVAILABLE, "Status")
            self.controller.lease(lease)
            await self.controller.hears(READY)
            yield

    @asynccontextmanager
    async def client(self, lease: str = "one") -> AsyncGenerator[DriverClient]:
        """Yield a client that dials; each of its connections is a tunnel."""

        async def dial(local: SocketStream) -> None:
            token = self.controller.dial(lease)
            tls = self.certificate.tls
            endpoint = self.controller.endpoint
            async with connect_router_stream(endpoint, token, local, tls):
                pass

        async with TemporaryUnixListener(dial) as path, client_for(path) as client:
            yield client


@asynccontextmanager
async def scripted_lab(certificate: Certificate) -> AsyncGenerator[ScriptedLab]:
    """Yield a lab whose controller is started."""

    def register(server: Server) -> None:
        router_pb2_grpc.add_RouterServiceServicer_to_server(MockRouter(), server)

    bind = Bind("127.0.0.1:0", certificate.server)
    async with serve(register, [bind]) as ports:
        lab = ScriptedLab(ScriptedController(f"127.0.0.1:{ports[0]}"), certificate)
        await lab.start()
        try:
            yield lab
        finally:
            await lab.kill()


async def test_an_exporter_registers_its_drivers_and_leaves_again(certificate: Certificate):
    built: list[Probe] = []

    def build() -> Probe:
        built.append(Probe())
        return built[-1]

    async with scripted_lab(certificate) as lab, lab.serving(lab.exporter(build)):
        await lab.controller.hears("Register", AVAILABLE, "Status")
        registration = lab.controller.registration
        assert registration is not None
        assert dict(registration.labels) == {NAME_LABEL: "desk"}
        assert [report.uuid for report in registration.reports] == [str(built[0].uuid)]
        assert [probe.events for probe in built] == [["close"]]
    assert lab.controller.heard == ["OFFLINE", "Unregister"]


async def test_a_lease_is_served_to_a_client_that_dials(certificate: Certificate):
    probe = Probe()
    async with (
        scripted_lab(certificate) as lab,
        lab.leased(lab.exporter(lambda: probe)),
        lab.client() as client,
    ):
        await client.call_async("note", "called")
        assert probe.events == ["close", "reset", "called"]
        lab.controller.end()
        await lab.controller.hears(AVAILABLE)
    assert probe.events == ["close", "reset", "called", "close"]
