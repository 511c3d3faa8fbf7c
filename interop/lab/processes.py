"""A lab whose controller and router are processes of their own, which can be killed.

Rule: both come back at the address that they had, as after a crash under a supervisor.
"""

import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jumpstarter.client.administration import connected
from jumpstarter.config.admin import AdminConfig
from jumpstarter_controller.data_directory import ADMIN

from .bench import Bench, serving_source
from .releases import OURS, Program, eventually, running

ROUTER = "first"
START_SECONDS = 30.0


def free_address() -> str:
    """Return an address of loopback that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


@dataclass
class Site:
    """The two processes, and the bench of their lab."""

    bench: Bench
    stack: AsyncExitStack
    controller_address: str = field(default_factory=free_address)
    router_address: str = field(default_factory=free_address)
    logs: list[Path] = field(default_factory=list[Path])

    @property
    def data(self) -> Path:
        """The controller's data directory."""
        return self.bench.folder / "data"

    @property
    def said(self) -> str:
        """What both have logged."""
        return "".join(path.read_text(errors="replace") for path in self.logs)

    async def start_controller(self) -> None:
        """Start the controller, and give the bench a connection to it."""
        words = ["jumpstarter_controller", "--data", str(self.data)]
        words += ["--grpc", self.controller_address, "--log-format", "json"]
        self.controller = await self._start("controller", words)
        await self.controller.says("the controller serves on", START_SECONDS)
        admin = connected(AdminConfig.load(self.data / ADMIN))
        self.bench.admin = await self.stack.enter_async_context(admin)

    async def start_router(self) -> None:
        """Start the router, and wait until the controller sends it streams."""
        token = self.data / "router-token"
        if not token.exists():
            token.touch(mode=0o600)
            token.write_text((await self.bench.admin.create_router(ROUTER)).token)
        words = ["jumpstarter_router", "--grpc", self.router_address, "--token-file", str(token)]
        words += ["--controller", self.controller_address]
        words += ["--controller-ca", str(self.data / "tls.pem")]
        words += ["--tls-certificate", str(self.data / "tls.pem")]
        words += ["--tls-key", str(self.data / "tls-key.pem")]
        self.router = await self._start("router", words)
        await self.router.says("registered with the controller", START_SECONDS)
        await self.has_router()

    async def has_router(self) -> None:
        """Wait until the controller counts the router among the living."""

        async def is_alive() -> bool:
            return any(router.alive for router in await self.bench.admin.list_routers())

        if not await eventually(is_alive, START_SECONDS):
            raise AssertionError("the controller knows no router that is alive")

    async def kill(self, program: Program) -> None:
        """Kill it, without a word."""
        program.kill()
        await program.ends()

    async def _start(self, name: str, words: list[str]) -> Program:
        log = self.bench.log(name)
        self.logs.append(log)
        command = [sys.executable, "-m", *words]
        environment = self.bench.home.environment(OURS)
        return await self.stack.enter_async_context(running(command, environment, log))


@asynccontextmanager
async def running_site(folder: Path, pause: float = 0.0) -> AsyncGenerator[Site]:
    """Run both; the bench's source pauses for `pause` seconds after each MiB."""
    async with serving_source(pause) as source, AsyncExitStack() as stack:
        site = Site(Bench(None, folder, source), stack)  # type: ignore[arg-type] - made below
        await site.start_controller()
        await site.start_router()
        yield site
