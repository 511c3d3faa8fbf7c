"""What every test of the core shares: servants of the protocol, and the release before.

`MockRouter` and `MockController` do as little as the protocol allows. They stand for the real ones
where code below those is tested.
"""

import base64
import datetime
import ipaddress
import subprocess
import sys
import venv
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio
import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc.aio import Server, ServicerContext
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc, router_pb2, router_pb2_grpc
from typing_extensions import override

from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.rpc.servers import Bind, serve

PEERS = Path(__file__).resolve().parents[3] / "tools" / "peers.py"
PEER_PACKAGES = ("driver-composite", "driver-network", "driver-opendal", "driver-power")

Context = ServicerContext[Any, Any]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio: grpc.aio knows no other loop."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
async def one_loop(anyio_backend: str) -> AsyncGenerator[None]:  # noqa: ARG001 - makes the loop
    """Let all async tests run in one event loop.

    gRPC completes some operations after their call has ended. It reports each to the loop that the
    call was made in, and what polls at that time fails when that loop is closed.
    """
    yield  # noqa: PT022 - a fixture that returns does not keep its loop


@pytest.fixture(scope="session")
def peer_interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that imports the packages of release 0.9.0.

    The repository keeps such environments; away from it, one is made for this run.
    """
    if PEERS.exists():
        argv = [sys.executable, str(PEERS), "full"]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
        return Path(done.stdout.strip())
    environment = tmp_path_factory.mktemp("peer")
    venv.create(environment)
    peer = environment / "bin" / "python"
    packages = [f"jumpstarter-{name}==0.9.0" for name in PEER_PACKAGES]
    # Our own pip serves the new environment, because not every Python can give it one.
    pip = [sys.executable, "-m", "pip", "--python", str(peer)]
    subprocess.run([*pip, "install", "--quiet", *packages], check=True)
    return peer


@dataclass(frozen=True)
class Certificate:
    """A certificate, in PEM, and its private key."""

    chain: bytes
    key: bytes

    @property
    def server(self) -> grpc.ServerCredentials:
        """What a server shows."""
        return grpc.ssl_server_credentials([(self.key, self.chain)])

    @property
    def tls(self) -> TLSConfigV1Alpha1:
        """What a client trusts."""
        return TLSConfigV1Alpha1(ca=base64.b64encode(self.chain).decode())


def self_signed(*names: x509.GeneralName) -> Certificate:
    """Make a certificate that is valid for `names`, from an hour ago and for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # No two have the same name: it is by its issuer's name that a certificate is looked up.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"jumpstarter test {serial:x}")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


@pytest.fixture(scope="session")
def certificate() -> Certificate:
    """A certificate for this machine by its name and by its addresses."""
    addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
    return self_signed(x509.DNSName("localhost"), *addresses)


@dataclass
class _Meeting:
    """Two streams of one token; the handler of the second passes on the frames of both."""

    first: Context
    piping: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    over: anyio.Event = field(default_factory=anyio.Event)
    broken: bool = True


class MockRouter(router_pb2_grpc.RouterServiceServicer):
    """Joins two streams with the same `authorization` and passes their frames on as they are.

    When one side leaves before both have ended, the stream of the other is aborted.
    """

    def __init__(self) -> None:
        self._meetings: dict[str | bytes, _Meeting] = {}

    @override
    async def Stream(  # pyright: ignore[reportIncompatibleMethodOverride] - writes to the context
        self, request_iterator: AsyncIterator[router_pb2.StreamRequest], context: Context
    ) -> None:
        token = dict(context.invocation_metadata() or ()).get("authorization")
        if token is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
        meeting = self._meetings.pop(token, None)
        if meeting is None:
            meeting = self._meetings[token] = _Meeting(context)
            try:
                await meeting.over.wait()
            finally:
                self._meetings.pop(token, None)
                meeting.piping.cancel()
        else:
            await _join(meeting, context)
        if meeting.broken:
            await context.abort(grpc.StatusCode.ABORTED, "the other side left")


async def _join(meeting: _Meeting, second: Context) -> None:
    try:
        with meeting.piping:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_pass_on, meeting.first, second)
                tasks.start_soon(_pass_on, second, meeting.first)
            meeting.broken = False
    except* grpc.aio.BaseError:
        # One side is gone, and writing to it tells so.
        pass
    finally:
        meeting.over.set()


async def _pass_on(source: Context, target: Context) -> None:
    while isinstance(frame := await source.read(), router_pb2.StreamRequest):
        await target.write(
            router_pb2.StreamResponse(
                payload=frame.payload, frame_type=cast("Any", frame.frame_type)
            )
        )


class MockController(jumpstarter_pb2_grpc.ControllerServiceServicer):
    """Knows one exporter at a time, and gives each Dial and the Listen of its lease one token."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.registered: jumpstarter_pb2.RegisterRequest | None = None
        self._dials: dict[str, deque[jumpstarter_pb2.ListenResponse]] = {}
        self._news = anyio.Event()
        self._count = 0

    @override
    async def Register(
        self, request: jumpstarter_pb2.RegisterRequest, context: Context
    ) -> jumpstarter_pb2.RegisterResponse:
        self.registered = request
        self._tell()
        return jumpstarter_pb2.RegisterResponse(uuid="exporter")

    @override
    async def Unregister(
        self, request: jumpstarter_pb2.UnregisterRequest, context: Context
    ) -> jumpstarter_pb2.UnregisterResponse:
        self.registered = None
        self._tell()
        return jumpstarter_pb2.UnregisterResponse()

    @override
    async def Dial(
        self, request: jumpstarter_pb2.DialRequest, context: Context
    ) -> jumpstarter_pb2.DialResponse:
        if self.registered is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "exporter is not ready")
        self._count += 1
        token = f"{request.lease_name}-{self._count}"
        queue = self._dials.setdefault(request.lease_name, deque())
        queue.append(
            jumpstarter_pb2.ListenResponse(router_endpoint=self.endpoint, router_token=token)
        )
        self._tell()
        return jumpstarter_pb2.DialResponse(router_endpoint=self.endpoint, router_token=token)

    @override
    async def Listen(
        self, request: jumpstarter_pb2.ListenRequest, context: Context
    ) -> AsyncIterator[jumpstarter_pb2.ListenResponse]:
        while True:
            queue = self._dials.setdefault(request.lease_name, deque())
            while queue:
                yield queue.popleft()
            await self._news.wait()

    @override
    async def Status(
        self, request: jumpstarter_pb2.StatusRequest, context: Context
    ) -> AsyncIterator[jumpstarter_pb2.StatusResponse]:
        told: bool | None = None
        while True:
            leased = self.registered is not None
            if leased is not told:
                yield jumpstarter_pb2.StatusResponse(leased=leased, lease_name="lease")
                told = leased
            await self._news.wait()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()


@dataclass(frozen=True)
class Lab:
    """Where the mock controller and router are reached, and how to trust them."""

    address: str
    certificate: Certificate
    controller: MockController

    @property
    def tls(self) -> TLSConfigV1Alpha1:
        return self.certificate.tls


@asynccontextmanager
async def serve_lab(certificate: Certificate) -> AsyncGenerator[Lab]:
    """Serve a mock controller and a mock router on one TLS port of this machine."""
    controller = MockController()

    def register(server: Server) -> None:
        jumpstarter_pb2_grpc.add_ControllerServiceServicer_to_server(controller, server)
        router_pb2_grpc.add_RouterServiceServicer_to_server(MockRouter(), server)

    async with serve(register, [Bind("127.0.0.1:0", certificate.server)]) as ports:
        controller.endpoint = f"127.0.0.1:{ports[0]}"
        yield Lab(controller.endpoint, certificate, controller)


@pytest.fixture
async def mock_controller(certificate: Certificate) -> AsyncGenerator[Lab]:
    """A TLS gRPC server with a mock controller and a mock router; yields where it is."""
    async with serve_lab(certificate) as lab:
        yield lab
