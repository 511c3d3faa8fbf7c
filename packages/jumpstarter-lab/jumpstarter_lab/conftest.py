"""What the tests share: a lab in a temporary directory, a board in it, and a client's file."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from jumpstarter.client.administration import Administration, connected
from jumpstarter.config.admin import AdminConfig
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.driver import Driver, export
from jumpstarter.local import create_exporter
from jumpstarter.streams.background import background_tasks
from jumpstarter_controller.config import Config

from jumpstarter_lab import Lab, LabConfig, running_lab


class Board(Driver):
    """Says what it hears."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def echo(self, value: str) -> str:
        return value


@pytest.fixture
def config(tmp_path: Path) -> LabConfig:
    controller = Config(data=tmp_path / "lab", grpc="127.0.0.1:0")
    return LabConfig(controller=controller, router="127.0.0.1:0")


@pytest.fixture
async def lab(config: LabConfig) -> AsyncGenerator[Lab]:
    async with running_lab(config) as lab:
        yield lab


@asynccontextmanager
async def administered(lab: Lab) -> AsyncGenerator[Administration]:
    async with connected(AdminConfig.load(lab.admin_file)) as administration:
        yield administration


async def new_client(lab: Lab, name: str = "ann") -> ClientConfigV1Alpha1:
    """Make a client that may use every driver class."""
    async with administered(lab) as administration:
        config = await administration.create_client(name)
    config.drivers.unsafe = True
    return config


async def new_exporter(lab: Lab, name: str = "board", **labels: str) -> ExporterConfigV1Alpha1:
    """Make an exporter whose root is a `Board`."""
    async with administered(lab) as administration:
        config = await administration.create_exporter(name, labels)
    document = config.model_dump(mode="json", by_alias=True)
    document["export"] = {"board": {"type": f"{Board.__module__}.Board"}}
    return ExporterConfigV1Alpha1.model_validate(document)


@asynccontextmanager
async def exporting(config: ExporterConfigV1Alpha1) -> AsyncGenerator[None]:
    """Run an exporter, registered when the context begins."""
    async with create_exporter(config) as exporter, background_tasks() as tasks:
        registered = anyio.Event()
        tasks.start_soon(exporter.serve, registered.set)
        await registered.wait()
        yield


def moved(config: LabConfig, lab: Lab) -> LabConfig:
    """Return `config` with the ports that `lab` has."""
    controller = replace(config.controller, grpc=lab.endpoint)
    return replace(config, controller=controller, router=lab.router_endpoint)
