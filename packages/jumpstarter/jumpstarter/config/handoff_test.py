"""What a configuration describes is built by the layer above."""

import stat
from pathlib import Path

import pytest

from jumpstarter.config.exporter import (
    ExporterConfigV1Alpha1,
    ExporterConfigV1Alpha1DriverInstance,
)
from jumpstarter.driver.base import Driver
from jumpstarter.exporter.exporter import Exporter
from jumpstarter.model.errors import ConfigurationError


class Lamp(Driver):
    """A driver without methods."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"


LAMP = f"type: {Lamp.__module__}.Lamp\nconfig: {{log_level: DEBUG}}\n"


@pytest.fixture
def config() -> ExporterConfigV1Alpha1:
    pytest.importorskip("jumpstarter_driver_composite", reason="the root of a tree is a Composite")
    return ExporterConfigV1Alpha1.model_validate(
        {
            "metadata": {"namespace": "default", "name": "bench"},
            "export": {"lamp": {"type": f"{Lamp.__module__}.Lamp"}},
        }
    )


def is_socket(path: Path) -> bool:
    return stat.S_ISSOCK(path.stat().st_mode)


def test_an_entry_is_instantiated() -> None:
    driver = ExporterConfigV1Alpha1DriverInstance.from_str(LAMP).instantiate()
    assert type(driver).__name__ == "Lamp"
    assert driver.log_level == "DEBUG"


def test_an_entry_of_an_unknown_driver_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        ExporterConfigV1Alpha1DriverInstance.from_str("type: no.such.Driver").instantiate()


def test_drivers_are_served_while_the_context_lasts(config: ExporterConfigV1Alpha1) -> None:
    with config.serve_unix() as path:
        assert is_socket(path)
    assert not path.exists()


async def test_drivers_are_served_on_the_running_loop(config: ExporterConfigV1Alpha1) -> None:
    async with config.serve_unix_async() as path:
        assert is_socket(path)
    assert not path.exists()


async def test_an_exporter_is_created(config: ExporterConfigV1Alpha1) -> None:
    async with config.create_exporter(standalone=True) as exporter:
        assert isinstance(exporter, Exporter)


async def test_an_exporter_serves_for_its_controller(config: ExporterConfigV1Alpha1) -> None:
    with pytest.raises(ConfigurationError, match="a controller needs endpoint and token"):
        await config.serve()
