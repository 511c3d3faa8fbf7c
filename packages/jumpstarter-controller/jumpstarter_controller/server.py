"""The controller as a whole: opened in order, ready when it yields, closed in reverse."""

import base64
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import anyio.to_thread
import grpc
import yaml
from jumpstarter.config.files import write_text
from jumpstarter.rpc.health import Health
from jumpstarter.rpc.servers import Bind, serve
from jumpstarter.streams.background import background_tasks

from . import data_directory
from .addresses import join_address, split_address
from .certificates import CertificateSource, KeptPair, Reloading, kept_hosts
from .clock import SystemClock
from .config import ADMIN_NAME, Config
from .engine import Engine
from .errors import LabError, NotFound
from .failures import unwrapped
from .identities import Identities
from .keys import PublicKey, kept_key
from .login import LoginFacts, serve_login
from .metrics import metrics_text
from .presence import Presence
from .services.assembly import SERVICES, Parts, Place, register
from .services.boundary import Boundary, Drain
from .services.hook_times import HookTimes
from .services.lease_ends import following
from .services.routing import Routing
from .store.sql import open_store
from .tokens import Kind, Signed
from .watch import LocalWatch

logger = logging.getLogger(__name__)

WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound
NO_LEASE: Final = "no-lease-has-this-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """A controller that runs.

    `address` is where it is bound, `endpoint` what callers are told, `ca` what they have to trust,
    PEM. A router in the same process verifies with `stream_key`, reports to `engine` and
    `routing`, and hears of ended leases from `routing`.
    """

    config: Config
    address: str
    endpoint: str
    login: str | None
    ca: str
    engine: Engine
    identities: Identities
    routing: Routing
    hook_times: HookTimes
    stream_key: PublicKey
    admin: Signed
    certificate: CertificateSource

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Controller({self.endpoint})"


@asynccontextmanager
async def running_controller(config: Config) -> AsyncGenerator[Controller]:
    """Run a controller. Leaving lets calls finish that change something.

    Raises ConfigurationError, LabError or OSError, each with one line, when it cannot start.
    """
    # The engine and its company run in task groups, which wrap what fails beside them.
    with unwrapped():
        async with AsyncExitStack() as stack:
            yield await _started(config, stack)


async def _started(config: Config, stack: AsyncExitStack) -> Controller:
    """Open everything, in the order in which one thing needs another."""
    stack.enter_context(data_directory.locked(config.data))
    host, _ = split_address(config.grpc)
    shown = split_address(config.endpoint)[0] if config.endpoint else reachable(host)
    certificate = _certificate(config, shown)
    credentials = Reloading(certificate).credentials()
    parts = await _open(config, Place(certificate.ca), stack)
    port = await _serve(parts, credentials, stack)
    parts.place.endpoint = config.endpoint or join_address(shown, port)
    controller = Controller(
        config=config,
        address=join_address(host, port),
        endpoint=parts.place.endpoint,
        login=await _login(parts, stack),
        ca=certificate.ca,
        engine=parts.engine,
        identities=parts.identities,
        routing=parts.routing,
        hook_times=parts.hook_times,
        stream_key=parts.stream_key.public,
        admin=_admin(parts),
        certificate=certificate,
    )
    logger.info("the controller serves on %s", controller.address)
    return controller


async def _serve(parts: Parts, credentials: grpc.ServerCredentials, stack: AsyncExitStack) -> int:
    """Serve gRPC; return the bound port. What waits is ended first when the stack closes."""
    health, drain = Health(SERVICES), Drain()
    (port,) = await stack.enter_async_context(
        serve(
            lambda server: register(server, parts, health),
            [Bind(parts.config.grpc, credentials)],
            [Boundary(drain)],
            parts.config.grace,
        )
    )

    def stop() -> None:
        logger.info("the controller stops")
        health.set(serving=False)
        drain.begin()

    stack.callback(stop)
    return port


def reachable(host: str) -> str:
    """Return the host that callers are told when the bound one is `host`."""
    return socket.gethostname() if host in WILDCARDS else host


def _certificate(config: Config, host: str) -> CertificateSource:
    if config.certificate is not None:
        return config.certificate
    # Asked for in gRPC's threads, beside the engine's clock: it is the time of the TLS library that
    # counts here.
    return KeptPair(config.data, kept_hosts(host, *config.other_hosts), SystemClock().now)


async def _open(config: Config, place: Place, stack: AsyncExitStack) -> Parts:
    """Open the lab and all that is kept with it."""
    token_key = kept_key(config.data / data_directory.TOKEN_KEY)
    stream_key = kept_key(config.data / data_directory.STREAM_KEY)
    identities = Identities(config.data / data_directory.IDENTITIES)
    database = config.database or config.data / data_directory.DATABASE
    store = await stack.enter_async_context(open_store(database))
    watch, routing = LocalWatch(), Routing()
    engine = Engine(store, settings=config.settings, watch=watch)
    await stack.enter_async_context(engine)
    ends = await stack.enter_async_context(following(engine, routing, config.namespace))
    presence = Presence(engine)
    tasks = await stack.enter_async_context(background_tasks())
    await tasks.start(presence.run)
    return Parts(
        config=config,
        engine=engine,
        identities=identities,
        watch=watch,
        routing=routing,
        ends=ends,
        token_key=token_key,
        stream_key=stream_key,
        place=place,
        hook_times=HookTimes(),
        presence=presence,
    )


async def _login(parts: Parts, stack: AsyncExitStack) -> str | None:
    """Serve logins, where that is wanted; return the address."""
    address = parts.config.login
    if address is None:
        return None

    def facts() -> LoginFacts:
        return LoginFacts(
            namespace=parts.config.namespace,
            grpc_endpoint=parts.place.endpoint,
            ca=parts.place.ca,
        )

    async def ready() -> str | None:
        return await _problem(parts)

    port = await stack.enter_async_context(
        serve_login(address, facts, ready, lambda: metrics_text(parts.engine.numbers()))
    )
    return join_address(split_address(address)[0], port)


async def _problem(parts: Parts) -> str | None:
    """Return what keeps the controller from working, or None."""
    try:
        await parts.engine.get_lease(parts.config.namespace, NO_LEASE)
    except NotFound:
        pass
    except LabError as error:
        return error.message
    return await anyio.to_thread.run_sync(data_directory.write_problem, parts.config.data)


def _admin(parts: Parts) -> Signed:
    """Return the administrator's token, and write the file that its programs read.

    Made at each start, because the endpoint and the certificates may be new; those that were made
    before stay good.
    """
    namespace = parts.config.namespace
    member = parts.identities.find(Kind.ADMIN, namespace, ADMIN_NAME)
    if member is None:
        member = parts.identities.add(Kind.ADMIN, namespace, ADMIN_NAME)
    signed = parts.sign(member.subject)
    document = {
        "apiVersion": "jumpstarter.dev/v1alpha1",
        "kind": "AdminConfig",
        "metadata": {"namespace": namespace, "name": member.name},
        "endpoint": parts.place.endpoint,
        "tls": {"ca": base64.b64encode(parts.place.ca.encode()).decode(), "insecure": False},
        "token": signed.token,
    }
    path = parts.config.data / data_directory.ADMIN
    write_text(path, yaml.safe_dump(document, sort_keys=False))
    return signed
