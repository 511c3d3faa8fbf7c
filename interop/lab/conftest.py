"""What the scenarios share: one lab per process of pytest, and the releases that meet in it."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from jumpstarter_controller.config import Config
from jumpstarter_lab import Lab, LabConfig, running_lab

from .bench import Bench, Exporter, open_bench
from .releases import OURS, Release, peer


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """gRPC's asyncio half knows no other loop."""
    return "asyncio"


@pytest.fixture(scope="session")
def published() -> Release:
    """The release that the compatibility promise names."""
    return peer("0.9.0", "full")


@pytest.fixture(scope="session")
def releases(published: Release) -> dict[str, Release]:
    return {release.name: release for release in (OURS, published)}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for everything; its path is short, for sockets are in it."""
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="session")
async def lab(anyio_backend: str, folder: Path) -> AsyncGenerator[Lab]:  # noqa: ARG001 - the loop
    controller = Config(data=folder / "data", grpc="127.0.0.1:0", login="127.0.0.1:0")
    async with running_lab(LabConfig(controller=controller, router="127.0.0.1:0")) as running:
        yield running


@pytest.fixture(scope="session")
async def bench(lab: Lab, folder: Path) -> AsyncGenerator[Bench]:
    async with open_bench(lab.admin_file, folder) as opened:
        yield opened


@pytest.fixture(scope="session")
async def boards(bench: Bench, releases: dict[str, Release]) -> AsyncGenerator[dict[str, Exporter]]:
    """An exporter of each release, which runs and has no hooks, for many tests."""
    async with AsyncExitStack() as stack:
        made: dict[str, Exporter] = {}
        for name, release in releases.items():
            made[name] = await bench.exporter(release)
            await stack.enter_async_context(made[name].started())
        for exporter in made.values():
            await exporter.ready()
        yield made


@pytest.fixture(params=["ours", "0.9.0"], ids=lambda name: f"{name}-client")
def caller(request: pytest.FixtureRequest, releases: dict[str, Release]) -> Release:
    """The release of a client, each in turn."""
    return releases[request.param]


@pytest.fixture(params=["ours", "0.9.0"], ids=lambda name: f"{name}-exporter")
def offering(request: pytest.FixtureRequest, releases: dict[str, Release]) -> Release:
    """The release of an exporter, each in turn."""
    return releases[request.param]


@pytest.fixture
async def board(boards: dict[str, Exporter], offering: Release) -> Exporter:
    """The exporter of that release, ready."""
    exporter = boards[offering.name]
    await exporter.ready()
    return exporter
