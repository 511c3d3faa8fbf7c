"""A whole lab for tests: controller, router, exporters and a client, on loopback, in one `with`.

Rule: nothing here is a stand-in. The parts are those that run in production, in one process, with
their data in a temporary directory; the client reaches the drivers through the router.
"""

from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import anyio
from anyio.from_thread import BlockingPortal
from jumpstarter.client.administration import Administration, connected
from jumpstarter.client.base import DriverClient
from jumpstarter.client.lab import open_channel
from jumpstarter.client.lease import Lease
from jumpstarter.config.admin import AdminConfig
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.driver import Driver
from jumpstarter.local import build_exporter, controller_channel
from jumpstarter.model.errors import ArgumentError, MissingDriverError
from jumpstarter.rpc.portal import open_portal
from jumpstarter.streams.background import background_tasks

try:
    from jumpstarter_controller.config import Config
    from jumpstarter_lab import Lab, LabConfig, running_lab
except ModuleNotFoundError as error:
    _LINE = f"{error}: a lab for tests needs `pip install jumpstarter-testing[lab]`"
    raise MissingDriverError(_LINE, "jumpstarter_lab") from None

__all__ = ["Board", "Device", "ServedLab", "serve_lab", "serve_lab_async"]

CLIENT: Final = "tester"
"""The name of the client in its lab."""

HALF_AN_HOUR: Final = timedelta(minutes=30)

Device = Callable[[], Driver] | Mapping[str, object]
"""What an exporter serves: a driver class, another callable that returns the root driver, or what
stands below `export:` in an exporter's file."""


@dataclass(frozen=True, slots=True)
class Board:
    """An exporter of the lab: its drivers, and the labels that leases choose it by."""

    device: Device
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    hooks: Mapping[str, object] = field(default_factory=dict[str, object])
    """What stands below `hooks:` in an exporter's file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedLab:
    """A lab that runs, and its client.

    Attributes:
        client: the client's configuration, also in `client_file`; it may lease everything.
        exporters: the names of the exporters.
        folder: a directory for files of the tests, gone when the lab is.
        parts: the controller and the router.
        portal: leads to the event loop of the lab.
    """

    client: ClientConfigV1Alpha1
    exporters: tuple[str, ...]
    folder: Path
    parts: Lab
    portal: BlockingPortal

    @property
    def client_file(self) -> Path:
        """The client's file, for programs: `jmp shell --client-config FILE`."""
        return self.folder / f"{CLIENT}.yaml"

    @property
    def admin_file(self) -> Path:
        """The administrator's file, for programs."""
        return self.parts.admin_file

    @contextmanager
    def lease(
        self,
        selector: str | None = None,
        *,
        exporter: str | None = None,
        duration: timedelta = HALF_AN_HOUR,
        timeout: float = 30,
    ) -> Generator[DriverClient]:
        """Lease a device and yield the client of its root driver; release it at the end.

        Neither selector nor exporter is needed where there is only one. Raises LeaseError when no
        device was to be had within `timeout` seconds, ArgumentError when none is chosen.
        """
        leased = self.lease_async(selector, exporter=exporter, duration=duration, timeout=timeout)
        with self.portal.wrap_async_context_manager(leased) as client:
            yield client

    @asynccontextmanager
    async def lease_async(
        self,
        selector: str | None = None,
        *,
        exporter: str | None = None,
        duration: timedelta = HALF_AN_HOUR,
        timeout: float = 30,  # noqa: ASYNC109 - a setting of the lease
    ) -> AsyncGenerator[DriverClient]:
        """Do as `lease`, on the event loop of the lab; raises as it does."""
        config, metadata = self.client, self.client.metadata
        if selector is None and exporter is None:
            exporter = self._only()
        with ExitStack() as stack:
            # Not `config.lease_async`: that would take the lease of a shell around the tests.
            async with (
                await open_channel(config) as channel,
                Lease(
                    channel=channel,
                    duration=duration,
                    selector=selector,
                    requested_exporter_name=exporter,
                    portal=self.portal,
                    namespace=metadata.namespace or "",
                    allow=config.drivers.allow,
                    unsafe=config.drivers.unsafe,
                    tls_config=config.tls,
                    client_name=metadata.name,
                    acquisition_timeout=timeout,
                ) as lease,
                lease.connect_async(stack) as client,
            ):
                yield client

    def _only(self) -> str:
        if len(self.exporters) != 1:
            message = f"say which device: a selector, or exporter= one of {list(self.exporters)}"
            raise ArgumentError(message)
        return self.exporters[0]


@contextmanager
def serve_lab(exporters: Mapping[str, Board | Device]) -> Generator[ServedLab]:
    """Run a lab with these exporters, by name, and yield it when all can be leased.

    Raises ConfigurationError when the drivers of one cannot be built.
    """
    with (
        open_portal() as portal,
        portal.wrap_async_context_manager(serve_lab_async(exporters, portal)) as lab,
    ):
        yield lab


@asynccontextmanager
async def serve_lab_async(
    exporters: Mapping[str, Board | Device], portal: BlockingPortal
) -> AsyncGenerator[ServedLab]:
    """Do as `serve_lab`, on the running event loop, to which `portal` leads."""
    with TemporaryDirectory(prefix="jumpstarter-lab-") as name:
        folder = Path(name)
        controller = Config(data=folder / "data", grpc="127.0.0.1:0")
        async with (
            running_lab(LabConfig(controller=controller, router="127.0.0.1:0")) as parts,
            connected(AdminConfig.load(parts.admin_file)) as administration,
            background_tasks() as tasks,
        ):
            client = await administration.create_client(CLIENT)
            client.drivers.unsafe = True
            client.save(client, folder / f"{CLIENT}.yaml")
            for exporter, board in exporters.items():
                config = await _registration(administration, exporter, _board(board))
                await tasks.start(_serve, config, _board(board).device)
            yield ServedLab(
                client=client,
                exporters=tuple(exporters),
                folder=folder,
                parts=parts,
                portal=portal,
            )


def _board(given: Board | Device) -> Board:
    return given if isinstance(given, Board) else Board(given)


async def _registration(
    administration: Administration, name: str, board: Board
) -> ExporterConfigV1Alpha1:
    config = await administration.create_exporter(name, dict(board.labels))
    document = config.model_dump(mode="json", by_alias=True)
    export: Mapping[str, object] = {} if callable(board.device) else board.device
    return ExporterConfigV1Alpha1.model_validate(
        {**document, "export": export, "hooks": dict(board.hooks)}
    )


async def _serve(
    config: ExporterConfigV1Alpha1,
    device: Device,
    *,
    task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the leases of one exporter; started when the controller knows of it."""
    exporter = build_exporter(config, controller_channel(config))
    if callable(device):
        exporter.device_factory = device
    await exporter.serve(task_status.started)
