"""The composition root: configuration, drivers, a session and a client joined in one process.

Everything below knows nothing of its surroundings; here the parts are put together.
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from anyio.from_thread import BlockingPortal

from jumpstarter.client.base import DriverClient
from jumpstarter.client.client import client_from_path
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.driver.base import Driver
from jumpstarter.environment import ExporterMetadata as ExporterMetadata
from jumpstarter.environment import env as env
from jumpstarter.environment import env_async as env_async
from jumpstarter.environment import env_with_metadata as env_with_metadata
from jumpstarter.environment import env_with_metadata_async as env_with_metadata_async
from jumpstarter.exporter.exporter import Exporter
from jumpstarter.exporter.session import Session
from jumpstarter.exporter.tree import instantiate as instantiate
from jumpstarter.exporter.tree import instantiate_root
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.model.metadata import NAME_LABEL
from jumpstarter.model.status import ExporterStatus
from jumpstarter.rpc.portal import open_portal
from jumpstarter.shell import launch_shell as launch_shell


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


def build_exporter(config: ExporterConfigV1Alpha1) -> Exporter:
    """Return the exporter that `config` describes; it builds its drivers for each session."""
    return Exporter(
        labels={NAME_LABEL: config.metadata.name},
        device_factory=lambda: instantiate_root(config),
        hooks=config.hooks,
        motd=config.motd,
    )


@asynccontextmanager
async def create_exporter(
    config: ExporterConfigV1Alpha1, *, standalone: bool = False
) -> AsyncGenerator[Exporter]:
    """Yield the exporter that `config` describes, to serve without a controller.

    Raises ConfigurationError unless `standalone`: this release has no controller to register with.
    """
    if not standalone:
        message = "an exporter of this release serves directly: use --tls-grpc-listener"
        raise ConfigurationError(message)
    yield build_exporter(config)


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
