"""What the tests of this package share: a router that runs, tokens for it, and callers."""

import asyncio
import base64
import datetime
import ipaddress
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import grpc
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc.aio import Channel, ServicerContext, StreamStreamCall
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.rpc.channels import connect, tcp_target
from jumpstarter.rpc.servers import Bind, serve
from jumpstarter.rpc.stub import STREAM_METHOD
from jumpstarter.streams.background import background_tasks
from jumpstarter_protocol import admin_pb2, admin_pb2_grpc
from jwt.algorithms import ECAlgorithm
from typing_extensions import override

from jumpstarter_router.claims import AUDIENCE, ISSUER, PublicKey, Verifier
from jumpstarter_router.registration import KeyRing
from jumpstarter_router.router import Router, running_router

RawCall = StreamStreamCall[bytes, bytes]
Context = ServicerContext[Any, Any]
PATIENCE = 20.0
"""Seconds that a test waits for what must come."""

TOKEN = (
    "h." + base64.urlsafe_b64encode(b'{"sub": "router:lab:one:uid"}').decode().rstrip("=") + ".s"
)
"""The token with which a router registers, as far as it reads it itself."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio: grpc.aio knows no other loop."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
async def one_loop(anyio_backend: str) -> AsyncGenerator[None]:  # noqa: ARG001 - makes the loop
    """Let all async tests run in one loop, since gRPC reports to those of calls that ended."""
    yield  # noqa: PT022 - a fixture that returns does not keep its loop


@dataclass(frozen=True)
class Certificate:
    """A certificate, in PEM, and its private key."""

    chain: bytes
    key: bytes

    @property
    def server(self) -> grpc.ServerCredentials:
        return grpc.ssl_server_credentials([(self.key, self.chain)])

    @property
    def tls(self) -> TLSConfigV1Alpha1:
        """What a client trusts."""
        return TLSConfigV1Alpha1(ca=base64.b64encode(self.chain).decode())


def self_signed() -> Certificate:
    """Make a certificate for this machine that is good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"router test {serial:x}")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
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
    return Certificate(certificate.public_bytes(serialization.Encoding.PEM), private_pem(key))


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture(scope="session")
def certificate() -> Certificate:
    return self_signed()


@dataclass(frozen=True)
class Signer:
    """Signs tokens as a controller does."""

    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def public(self) -> PublicKey:
        return self.key.public_key()

    def sign(self, claims: dict[str, Any]) -> str:
        # Unlike `jwt.encode`, this signs claims that make no sense too.
        return jwt.PyJWS().encode(json.dumps(claims).encode(), self.key, algorithm="ES256")

    def token(self, stream: str = "", **changes: Any) -> str:
        """Return a good token, but for `changes`; a claim that is None is left out."""
        return self.sign(claims(stream, **changes))


def claims(stream: str = "", **changes: Any) -> dict[str, Any]:
    """Return the claims of a good token, but for `changes`; one that is None is left out."""
    now = int(time.time())
    good: dict[str, Any] = {
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "sub": stream or str(uuid.uuid4()),
        "iat": now,
        "nbf": now,
        "exp": now + 1800,
        "jti": str(uuid.uuid4()),
        "lease": "lease",
        "fence": 1,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer()


@dataclass
class Lab:
    """A router that runs, and short ways to call it."""

    router: Router
    ring: KeyRing
    signer: Signer
    certificate: Certificate

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.router.ports[0]}"

    @property
    def tls(self) -> TLSConfigV1Alpha1:
        return self.certificate.tls

    @asynccontextmanager
    async def channel(self) -> AsyncGenerator[Channel]:
        """Yield a connection of its own."""
        options = {"grpc.use_local_subchannel_pool": 1}
        target = await tcp_target(self.address, self.tls, options)
        async with connect(target) as channel:
            yield channel

    @asynccontextmanager
    async def call(self, token: str | None = None) -> AsyncGenerator[RawCall]:
        """Yield a call of bytes, over a connection of its own, which is cancelled at the end."""
        async with self.channel() as channel:
            call = raw_call(channel, self.signer.token() if token is None else token)
            try:
                yield call
            finally:
                call.cancel()

    @asynccontextmanager
    async def pair(self, **changes: Any) -> AsyncGenerator[tuple[RawCall, RawCall]]:
        """Yield the two calls of a stream, which have met."""
        stream = str(uuid.uuid4())
        client = self.signer.token(stream, side="client", **changes)
        exporter = self.signer.token(stream, side="exporter", **changes)
        async with self.call(exporter) as first:
            await first.initial_metadata()
            async with self.call(client) as second:
                await second.initial_metadata()
                yield first, second


def raw_call(channel: Channel, *tokens: str) -> RawCall:
    """Begin a call whose messages are bytes, and which shows `tokens`."""
    return bare_call(channel, *(f"Bearer {token}" for token in tokens))


def bare_call(channel: Channel, *authorization: str) -> RawCall:
    """Begin a call whose messages are bytes."""
    metadata = tuple(("authorization", value) for value in authorization)
    return cast("Any", channel.stream_stream(STREAM_METHOD, None, None))(metadata=metadata)


OpenLab = Callable[..., AbstractAsyncContextManager[Lab]]


@pytest.fixture
def open_lab(certificate: Certificate, signer: Signer) -> OpenLab:
    """Run a router, with the clock that is given."""

    @asynccontextmanager
    async def opened(clock: Callable[[], float] = time.time) -> AsyncGenerator[Lab]:
        ring = KeyRing([signer.public])
        router = Router(Verifier(ring), clock, lambda: ring.is_filled)
        async with running_router(router, [Bind("127.0.0.1:0", certificate.server)]):
            yield Lab(router, ring, signer, certificate)

    return opened


@pytest.fixture
async def lab(open_lab: OpenLab) -> AsyncGenerator[Lab]:
    async with open_lab() as opened:
        yield opened


async def status(call: RawCall) -> tuple[grpc.StatusCode, str]:
    """Return how a call ended."""
    with anyio.fail_after(PATIENCE):
        return await call.code(), await call.details()


async def read(call: RawCall) -> bytes:
    """Return the next message of a call."""
    with anyio.fail_after(PATIENCE):
        message = await call.read()
    assert isinstance(message, bytes)
    return message


async def no_calls(lab: Lab) -> None:
    """Wait until the router has noticed that all have left."""
    with anyio.fail_after(PATIENCE):
        await lab.router.drained(PATIENCE)


class Clock:
    """The time, moved ahead by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def key_set(signer: Signer) -> str:
    return json.dumps({"keys": [json.loads(ECAlgorithm.to_jwk(signer.public))]})


@dataclass
class Controller(admin_pb2_grpc.RouterRegistryServiceServicer):
    """Takes reports, and gives the orders that a test puts in."""

    first: list[admin_pb2.RouterOrders]
    metadata: dict[str, str | bytes] = field(default_factory=dict[str, str | bytes])
    reports: asyncio.Queue[admin_pb2.RouterReport] = field(
        default_factory=asyncio.Queue[admin_pb2.RouterReport]
    )
    orders: asyncio.Queue[admin_pb2.RouterOrders] = field(
        default_factory=asyncio.Queue[admin_pb2.RouterOrders]
    )
    calls: int = 0

    @override
    async def Register(  # pyright: ignore[reportIncompatibleMethodOverride] - writes to the context
        self, request_iterator: AsyncIterator[admin_pb2.RouterReport], context: Context
    ) -> None:
        self.calls += 1
        self.metadata = dict(context.invocation_metadata() or ())
        for orders in self.first:
            await context.write(orders)
        async with background_tasks() as tasks:
            tasks.start_soon(self._give, context)
            async for report in request_iterator:
                self.reports.put_nowait(report)

    async def _give(self, context: Context) -> None:
        while True:
            await context.write(await self.orders.get())

    async def next_report(self) -> admin_pb2.RouterReport:
        with anyio.fail_after(PATIENCE):
            return await self.reports.get()


@asynccontextmanager
async def serving(
    controller: Controller, certificate: Certificate, address: str = "127.0.0.1:0"
) -> AsyncGenerator[str]:
    def register(server: Any) -> None:
        admin_pb2_grpc.add_RouterRegistryServiceServicer_to_server(controller, server)

    async with serve(register, [Bind(address, certificate.server)]) as ports:
        yield f"127.0.0.1:{ports[0]}"
