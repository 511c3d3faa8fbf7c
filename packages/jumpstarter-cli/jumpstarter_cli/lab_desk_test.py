"""For the tests of this package: a lab that runs in this process, and commands typed in it.

What is typed here runs in this process as well, so that it takes a tenth of the time of a process;
what matters of processes is tested with `Desk`.
"""

import logging
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from anyio.abc import TaskGroup
from anyio.from_thread import BlockingPortal
from jumpstarter.client import administration
from jumpstarter.config.admin import AdminConfig
from jumpstarter.config.client import ClientConfigV1Alpha1, UserConfigV1Alpha1
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.exporter import Exporter
from jumpstarter.local import create_exporter
from jumpstarter.model.status import ExporterStatus
from jumpstarter.rpc.portal import open_portal
from jumpstarter_controller.config import Config
from jumpstarter_lab.lab import Lab, LabConfig, running_lab

from jumpstarter_cli import client_files
from jumpstarter_cli.jmp import jmp

LAMPS = "jumpstarter_cli.lamp_test"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass
class LabDesk:
    """A lab, its administrator's calls as plain functions, and a user's commands."""

    portal: BlockingPortal
    lab: Lab
    admin: administration.Administration
    tasks: TaskGroup
    folder: Path
    capture: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    @property
    def clients(self) -> Path:
        """Where the files of clients are."""
        return self.folder / "clients"

    def client(self, alias: str, *, unsafe: bool = True) -> ClientConfigV1Alpha1:
        """Make a client, and its file."""
        config = self.portal.call(self.admin.create_client, alias)
        config.alias, config.drivers.unsafe = alias, unsafe
        ClientConfigV1Alpha1.save(config)
        return config

    def use(self, alias: str | None) -> None:
        """Make a client the current one."""
        UserConfigV1Alpha1.load_or_create().use_client(alias)

    def exporter(self, name: str, text: str = "", **labels: str) -> Path:
        """Make an exporter with a lamp and what `text` adds to its file; it does not run yet."""
        config = self.portal.call(self.admin.create_exporter, name, {"place": name, **labels})
        path = self.folder / f"{name}.yaml"
        written = ExporterConfigV1Alpha1.dump_yaml(config)
        head = written[: written.index("export:")].replace("motd: null\n", "")
        path.write_text(f"{head}export:\n  lamp: {{type: {LAMPS}.Lamp}}\n{text}", encoding="utf-8")
        return path

    @contextmanager
    def running(self, name: str, text: str = "", **labels: str) -> Generator[Exporter]:
        """Make an exporter, and let it serve its leases inside the context."""
        config = ExporterConfigV1Alpha1.load_path(self.exporter(name, text, **labels))
        with self.portal.wrap_async_context_manager(self._serving(config)) as exporter:
            yield exporter

    def jmp(self, *words: str, env: dict[str, str] | None = None) -> Done:
        """Run `jmp` with these words."""
        with self.monkeypatch.context() as patch:
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            return typed(self.capture, *words)

    def lease(self, *words: str) -> str:
        """Create a lease and return its name."""
        done = self.jmp("create", "lease", "--duration", "30m", "-o", "name", *words)
        assert done.code == 0, done.err
        return done.out.strip()

    @asynccontextmanager
    async def _serving(self, config: ExporterConfigV1Alpha1) -> AsyncGenerator[Exporter]:
        ready = anyio.Event()
        async with create_exporter(config) as exporter, anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: exporter.serve(registered=ready.set))
            await ready.wait()
            await self._can_be_leased(config.metadata.name)
            try:
                yield exporter
            finally:
                exporter.stop(should_unregister=True)

    async def _can_be_leased(self, name: str) -> None:
        """Wait until the controller would grant it: it hears of that after the registration."""
        with anyio.fail_after(30):
            while True:
                found = await self.admin.get_exporter(name)
                if found.online and found.status is ExporterStatus.AVAILABLE:
                    return
                await anyio.sleep(0.01)


def typed(capture: pytest.CaptureFixture[str], *words: str) -> Done:
    """Run `jmp` with these words in this process."""
    capture.readouterr()
    with pytest.raises(SystemExit) as ended:
        jmp(list(words), prog_name="jmp")
    out, err = capture.readouterr()
    assert isinstance(ended.value.code, int)
    return Done(ended.value.code, out, err)


@contextmanager
def open_lab_desk(
    folder: Path, capture: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Generator[LabDesk]:
    """Yield a desk in a new lab; the files of the user are in `folder`."""
    point_at(folder, monkeypatch)
    with (
        quiet_logging(),
        open_portal() as portal,
        portal.wrap_async_context_manager(_opened(folder)) as (lab, admin, tasks),
    ):
        yield LabDesk(portal, lab, admin, tasks, folder, capture, monkeypatch)


def point_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all that is read and written of a user be in `folder`."""
    monkeypatch.setattr(ClientConfigV1Alpha1, "CLIENT_CONFIGS_PATH", folder / "clients")
    monkeypatch.setattr(client_files, "DIRECTORY", folder / "clients")
    monkeypatch.setattr(ExporterConfigV1Alpha1, "BASE_PATH", folder / "exporters")
    monkeypatch.setattr(UserConfigV1Alpha1, "BASE_CONFIG_PATH", folder)
    monkeypatch.setattr(UserConfigV1Alpha1, "USER_CONFIG_PATH", folder / "config.yaml")
    for name in [name for name in os.environ if name.startswith(("JMP_", "JUMPSTARTER_"))]:
        monkeypatch.delenv(name)


@contextmanager
def quiet_logging() -> Generator[None]:
    """Put the log back as it was, at the end of the context."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name in ("exporter:beforeLease", "exporter:afterLease"):
            logging.getLogger(name).handlers.clear()


@asynccontextmanager
async def _opened(
    folder: Path,
) -> AsyncGenerator[tuple[Lab, administration.Administration, TaskGroup]]:
    controller = Config(data=folder / "data", grpc="127.0.0.1:0", login="127.0.0.1:0")
    config = LabConfig(controller=controller, router="127.0.0.1:0")
    async with (
        running_lab(config) as lab,
        administration.connected(AdminConfig.load(lab.admin_file)) as admin,
        anyio.create_task_group() as tasks,
    ):
        yield lab, admin, tasks
        tasks.cancel_scope.cancel()
