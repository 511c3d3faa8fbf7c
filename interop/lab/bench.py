"""A lab with its users: what a scenario needs at hand, whoever runs the controller.

Rule: files of clients and exporters are written by our code, for programs of every release.
"""

import hashlib
import json
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.abc import SocketAttribute, SocketStream
from jumpstarter.client.administration import Administration, connected
from jumpstarter.config.admin import AdminConfig
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.config.client_sections import ClientConfigV1Alpha1Drivers
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.model.status import ExporterStatus

from .releases import Home, Program, Release, eventually, running

MIB: Final = 1 << 20
READY_SECONDS: Final = 90.0
Hooks = Mapping[str, Mapping[str, Any]]


@cache
def _block() -> bytes:
    return random.Random(7).randbytes(MIB - 8)


def piece(number: int) -> bytes:
    """Return one MiB of what the source sends: no two are equal."""
    return number.to_bytes(8, "big") + _block()


@cache
def digest(size: int) -> str:
    """Return the digest of the first `size` bytes of the source, whole MiBs."""
    found = hashlib.sha256()
    for number in range(size // MIB):
        found.update(piece(number))
    return found.hexdigest()


@dataclass
class Source:
    """A TCP server, which sends as many bytes as it is asked for."""

    port: int = 0
    pause: float = 0.0
    """Seconds between two MiBs."""

    gate: anyio.Event = field(default_factory=anyio.Event)
    """What follows the first MiB waits for it."""

    async def send(self, stream: SocketStream) -> None:
        """Serve one connection."""
        async with stream:
            asked = b""
            while not asked.endswith(b"\n"):
                asked += await stream.receive()
            for number in range(int(asked) // MIB):
                await stream.send(piece(number))
                await self.gate.wait()
                if self.pause:
                    await anyio.sleep(self.pause)


@asynccontextmanager
async def serving_source(pause: float = 0.0) -> AsyncGenerator[Source]:
    """Serve the source inside the context; with a pause its gate is shut."""
    source = Source(pause=pause)
    if not pause:
        source.gate.set()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    source.port = listener.extra(SocketAttribute.local_port)

    async def serve(stream: SocketStream) -> None:
        # Who asked may have gone before it had everything.
        try:
            await source.send(stream)
        except (anyio.BrokenResourceError, anyio.EndOfStream):
            return

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield source
        tasks.cancel_scope.cancel()


@dataclass(frozen=True)
class Done:
    """A program that has ended."""

    code: int
    said: str

    @property
    def found(self) -> Any:  # noqa: ANN401 - whatever the script prints
        """What a script of `use.py` has found."""
        for line in reversed(self.said.splitlines()):
            try:
                return json.loads(line)
            except ValueError:
                continue
        raise AssertionError(f"no finding in:\n{self.said}")


@dataclass(frozen=True)
class User:
    """A client, with the release whose programs it runs."""

    bench: "Bench"
    name: str
    release: Release

    def shell(self, *words: str) -> list[str]:
        """Return the command of a shell: options, `--`, and what runs in it."""
        return [self.release.jmp, "shell", "--client", self.name, *words]

    def use(self, exporter: str, what: str, *arguments: str) -> list[str]:
        """Return the command of a shell on an exporter, in which the script `use.py` runs."""
        command = self.release.use(what, *arguments)
        return self.shell("--selector", f"board={exporter}", "--", *command)

    def power(self, exporter: str) -> list[str]:
        """Return the standard use: a shell on an exporter, in which its power is switched on."""
        return self.shell("--selector", f"board={exporter}", "--", self.release.j, "power", "on")

    def ask(self, *words: str) -> list[str]:
        """Return a command that asks the controller something."""
        return [self.release.jmp, *words, "--client", self.name]

    async def set_duration(self, lease: str, duration: timedelta) -> None:
        """Extend or shorten a lease, with our library: programs take their time."""
        config = ClientConfigV1Alpha1.from_file(self.bench.home.clients / f"{self.name}.yaml")
        # Within an event loop it is a coroutine.
        update: Any = config.update_lease(lease, duration=duration)
        await update

    @asynccontextmanager
    async def runs(self, command: list[str], **more: str) -> AsyncGenerator[Program]:
        """Run a command inside the context."""
        environment = self.bench.home.environment(self.release, **more)
        async with running(command, environment, self.bench.log(self.name)) as program:
            yield program

    async def does(self, command: list[str], **more: str) -> Done:
        """Run a command to its end."""
        async with self.runs(command, **more) as program:
            code = await program.ends()
            return Done(code, program.said)

    async def succeeds(self, command: list[str], **more: str) -> Done:
        """Run a command to its end, which must be a good one."""
        done = await self.does(command, **more)
        if done.code:
            raise AssertionError(f"exit code {done.code}:\n{done.said}")
        return done


@dataclass
class Exporter:
    """An exporter's configuration, and how its program is run."""

    bench: "Bench"
    name: str
    release: Release
    file: Path

    @property
    def record(self) -> Path:
        """Where its driver writes each effect."""
        return self.bench.folder / f"{self.name}.effects"

    @property
    def effects(self) -> list[str]:
        """What clients have done to the device."""
        return self.record.read_text().splitlines() if self.record.exists() else []

    async def ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until the controller can lease it."""
        await self.until(lambda found: found.status is ExporterStatus.AVAILABLE, seconds)
        await self.until(lambda found: found.online and found.registered, seconds)
        await self.until_free(seconds)

    async def until_free(self, seconds: float = READY_SECONDS) -> None:
        """Wait until nobody has a lease of it."""

        async def is_free() -> bool:
            return not await self.bench.leases_of(self.name)

        if not await eventually(is_free, seconds):
            raise AssertionError(f"{self.name} still has a lease after {seconds:g} s")

    async def until(self, holds: Callable[[Any], bool], seconds: float = READY_SECONDS) -> None:
        """Wait until what the controller says of it satisfies `holds`."""

        async def is_so() -> bool:
            return holds(await self.bench.admin.get_exporter(self.name))

        if not await eventually(is_so, seconds):
            found = await self.bench.admin.get_exporter(self.name)
            raise AssertionError(f"not within {seconds:g} s: {found}")

    @asynccontextmanager
    async def started(self, *options: str) -> AsyncGenerator[Program]:
        """Run it inside the context, without waiting for it."""
        command = [self.release.jmp, "run", "--exporter-config", str(self.file), *options]
        environment = self.bench.home.environment(self.release)
        async with running(command, environment, self.bench.log(self.name)) as program:
            yield program

    @asynccontextmanager
    async def runs(self, *options: str) -> AsyncGenerator[Program]:
        """Run it inside the context, ready."""
        async with self.started(*options) as program:
            await self.ready()
            yield program


@dataclass
class Bench:
    """A lab's administrator, the home of its users, and where their output goes."""

    admin: Administration
    folder: Path
    source: Source
    number: int = field(default=0, init=False)

    @property
    def home(self) -> Home:
        """The home of every user."""
        return Home(self.folder)

    def log(self, name: str) -> Path:
        """Return a new file for the output of a program."""
        self.number += 1
        return self.folder / f"{self.number:03}-{name}.log"

    def named(self, name: str) -> str:
        """Return a name that nobody has had."""
        self.number += 1
        return f"{name}-{self.number}"

    async def user(self, release: Release, name: str = "user") -> User:
        """Make a client, and write its file."""
        name = self.named(name)
        config = await self.admin.create_client(name)
        config.drivers = ClientConfigV1Alpha1Drivers(allow=[], unsafe=True)
        ClientConfigV1Alpha1.save(config, self.home.clients / f"{name}.yaml")
        return User(self, name, release)

    async def exporter(
        self, release: Release, hooks: Hooks | None = None, *, exit_on_lease_end: bool = False
    ) -> Exporter:
        """Make an exporter whose label `board` is its name, and write its file."""
        name = self.named("board")
        config = await self.admin.create_exporter(name, {"board": name, "lab": "bench"})
        file = self.folder / f"{name}.yaml"
        exporter = Exporter(self, name, release, file)
        document = config.model_dump(mode="json", by_alias=True) | {
            "export": exports(self.source.port, exporter.record),
            "hooks": hooks or {},
            "exitOnLeaseEnd": exit_on_lease_end,
        }
        whole = ExporterConfigV1Alpha1.model_validate(document)
        ExporterConfigV1Alpha1.save(whole, str(file))
        return exporter

    async def leases_of(self, exporter: str, *, only_active: bool = True) -> list[str]:
        """Return the names of the leases that an exporter has."""
        leases = await self.admin.list_leases(only_active=only_active)
        return [lease.name for lease in leases if lease.exporter == exporter]

    async def lease_of(self, exporter: str) -> str:
        """Return the name of the lease that an exporter has, waiting for one."""

        async def has_lease() -> bool:
            return bool(await self.leases_of(exporter))

        if not await eventually(has_lease, READY_SECONDS):
            raise AssertionError(f"{exporter} has no lease")
        return (await self.leases_of(exporter))[0]


def exports(port: int, record: Path) -> dict[str, Any]:
    """Return what every exporter of the bench offers."""
    target = {"host": "127.0.0.1", "port": port}
    return {
        "power": {"type": "jumpstarter_driver_power.driver.MockPower"},
        "net": {"type": "jumpstarter_driver_network.driver.TcpNetwork", "config": target},
        "probe": {"type": "lab_devices.Probe", "config": {"record": str(record)}},
    }


@asynccontextmanager
async def open_bench(admin_file: Path, folder: Path) -> AsyncGenerator[Bench]:
    """Yield the bench of the lab whose administrator's file this is."""
    async with connected(AdminConfig.load(admin_file)) as admin, serving_source() as source:
        yield Bench(admin, folder, source)
