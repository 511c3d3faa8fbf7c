"""The composition root: configuration, drivers, a session and a client joined in one process.

Everything below knows nothing of its surroundings; here the parts are put together.
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from anyio.from_thread import BlockingPortal
from grpc.aio import Channel

from jumpstarter.client.base import DriverClient
from jumpstarter.client.client import client_from_path
from jumpstarter.config.current_token import CurrentToken
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.driver.base import Driver
from jumpstarter.environment import ExporterMetadata as ExporterMetadata
from jumpstarter.environment import env as env
from jumpstarter.environment import env_async as env_async
from jumpstarter.environment import env_with_metadata as env_with_metadata
from jumpstarter.environment import env_with_metadata_async as env_with_metadata_async
from jumpstarter.exporter.exporter import Exporter
from jumpstarter.exporter.hooks import HookExecutor
from jumpstarter.exporter.link import ChannelFactory
from jumpstarter.exporter.session import Session
from jumpstarter.exporter.tree import instantiate as instantiate
from jumpstarter.exporter.tree import instantiate_root
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.model.metadata import NAME_LABEL
from jumpstarter.model.rapid_failures import RapidFailures
from jumpstarter.model.status import ExporterStatus
from jumpstarter.rpc.channels import aio_secure_channel, split_target, ssl_channel_credentials
from jumpstarter.rpc.credentials import identity_credentials
from jumpstarter.rpc.portal import open_portal
from jumpstarter.shell import launch_shell as launch_shell

CONTROLLER_OPTIONS = {"grpc.keepalive_timeout_ms": 20_000}
"""A controller that answers no ping is given up sooner: a new connection costs little."""


@asynccontextmanager
async def serve_async(
    root_device: Driver, portal: BlockingPortal, stack: ExitStack
) -> AsyncGenerator[DriverClient]:
    """Serve `root_device` on a temporary socket and yield a client of it."""
    with Session(root_device=root_device) as session:
        session.update_status(ExporterStatus.LEASE_READY)
        async with (
            session.serve_unix_async() as path,
            client_from_path(path, portal, stack, allow=[], unsafe=True) as client,
        ):
            yield client


@contextmanager
def serve(root_device: Driver) -> Generator[DriverClient]:
    """Serve `root_device` in a thread of its own and yield a client of it.

    What a test of a driver needs: a real client over a real socket.
    """
    with (
        open_portal() as portal,
        ExitStack() as stack,
        portal.wrap_async_context_manager(serve_async(root_device, portal, stack)) as client,
    ):
        try:
            yield client
        finally:
            if hasattr(client, "close"):
                client.close()


@asynccontextmanager
async def serve_exporter_unix_async(config: ExporterConfigV1Alpha1) -> AsyncGenerator[Path]:
    """Serve the drivers of `config`, without its hooks, on a temporary socket; yield its path.

    Raises ConfigurationError when a driver cannot be built.
    """
    with Session(
        root_device=instantiate_root(config),
        labels={NAME_LABEL: config.metadata.name},
        motd=config.motd,
    ) as session:
        session.update_status(ExporterStatus.LEASE_READY)
        async with session.serve_unix_async() as path:
            yield path


@contextmanager
def serve_exporter_unix(config: ExporterConfigV1Alpha1) -> Generator[Path]:
    """Do as `serve_exporter_unix_async`, from a thread of its own."""
    with (
        open_portal() as portal,
        portal.wrap_async_context_manager(serve_exporter_unix_async(config)) as path,
    ):
        yield path


def build_exporter(
    config: ExporterConfigV1Alpha1, channel_factory: ChannelFactory | None = None
) -> Exporter:
    """Return the exporter that `config` describes; it builds its drivers for each session."""
    limits = config.failure_detection
    return Exporter(
        labels={NAME_LABEL: config.metadata.name},
        device_factory=lambda: instantiate_root(config),
        channel_factory=channel_factory,
        tls=config.tls,
        grpc_options=config.grpcOptions,
        hook_executor=HookExecutor(config.hooks),
        motd=config.motd,
        exit_on_lease_end=config.exit_on_lease_end,
        failures=RapidFailures(limits.max_rapid_failures, limits.rapid_failure_window),
    )


@asynccontextmanager
async def create_exporter(
    config: ExporterConfigV1Alpha1, *, standalone: bool = False
) -> AsyncGenerator[Exporter]:
    """Yield the exporter that `config` describes, for its controller unless `standalone`.

    Raises ConfigurationError when the configuration lacks something that a controller needs.
    """
    yield build_exporter(config, None if standalone else controller_channel(config))


async def serve_exporter(config: ExporterConfigV1Alpha1) -> None:
    """Serve as the controller's exporter that `config` describes; see `Exporter.serve`."""
    async with create_exporter(config) as exporter:
        await exporter.serve()


def controller_channel(config: ExporterConfigV1Alpha1) -> ChannelFactory:
    """Return what connects the exporter of `config` to its controller.

    The token is the one that the file has when a call is made, so a renewed one needs no restart.
    Raises ConfigurationError when the configuration lacks something that a controller needs.
    """
    endpoint, token, metadata = config.endpoint, config.token, config.metadata
    given = {"endpoint": endpoint, "token": token, "metadata.namespace": metadata.namespace}
    missing = [key for key, value in given.items() if not value]
    if not (endpoint and token and metadata.namespace):
        where = config.path or f"exporter '{config.alias}'"
        message = f"{where}: a controller needs {' and '.join(missing)}"
        raise ConfigurationError(message)
    split_target(endpoint)
    current = CurrentToken(token, config.path)
    identity = identity_credentials(current, "Exporter", metadata.namespace, metadata.name)
    options = {**CONTROLLER_OPTIONS, **config.grpcOptions}

    async def connect() -> Channel:
        transport = await ssl_channel_credentials(endpoint, config.tls)
        credentials = grpc.composite_channel_credentials(transport, identity)
        return aio_secure_channel(endpoint, credentials, options)

    return connect


@dataclass(frozen=True, slots=True)
class LocalSession:
    """A session of this machine: where it is reached, and what to tell who enters it."""

    path: Path
    motd: str | None


@contextmanager
def local_session(config: ExporterConfigV1Alpha1) -> Generator[LocalSession]:
    """Serve the drivers of `config` on a temporary socket, with its hooks around the body.

    Raises ConfigurationError when a driver cannot be built, HookExecutionError when a hook failed
    whose failure must not be ignored.
    """
    exporter = build_exporter(config)
    with (
        open_portal() as portal,
        portal.wrap_async_context_manager(exporter.open_unix()) as (_, path),
    ):
        yield LocalSession(path, config.motd)
