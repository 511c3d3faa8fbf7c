"""The commands of a composite: one group per child, and the log level."""

import logging
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner
from jumpstarter.client import DriverClient
from jumpstarter.client.base import StubDriverClient
from jumpstarter.client.decorators import driver_click_group
from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver, export

from jumpstarter_driver_composite.client import CompositeClient
from jumpstarter_driver_composite.driver import Composite


class LampClient(DriverClient):
    """A client with commands."""

    def cli(self) -> click.Group:
        @driver_click_group(self)
        def base() -> None:
            """Lamp commands"""

        @base.command
        def colour() -> None:
            """Say the colour"""
            click.echo(self.call("colour"))

        return base


class Lamp(Driver):
    """A driver whose client has commands."""

    @classmethod
    def client(cls) -> str:
        return f"{__name__}.LampClient"

    @export
    def colour(self) -> str:
        return self.labels["shade"]


class Silent(Driver):
    """A driver whose client has none."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"


class Foreign(Driver):
    """A driver whose client is not installed here."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter_driver_absent.client.AbsentClient"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[CompositeClient]:
    monkeypatch.setenv("_JMP_SUPPRESS_DRIVER_WARNINGS", "1")
    root = Composite(
        description="The exporter on the desk",
        children={
            "lamp_a": Lamp(labels={"shade": "red"}),
            "rack": Composite(children={"lamp": Lamp(labels={"shade": "blue"})}),
            "silent": Silent(),
            "foreign": Foreign(),
        },
    )
    with serve(root) as client:
        assert isinstance(client, CompositeClient)
        yield client


@pytest.fixture
def levels() -> Iterator[None]:
    """Give all loggers their levels back."""
    known = [logging.getLogger(name) for name in list(logging.Logger.manager.loggerDict)]
    before = [(logger, logger.level) for logger in [logging.getLogger(), *known]]
    yield
    for logger, level in before:
        logger.setLevel(level)


def test_children_with_commands_are_groups_under_their_own_names(client: CompositeClient):
    assert isinstance(client.foreign, StubDriverClient)
    assert list(client.cli().commands) == ["lamp_a", "rack"]


def test_help_is_the_configured_description(client: CompositeClient):
    output = CliRunner().invoke(client.cli(), ["--help"]).output
    assert "The exporter on the desk" in output
    assert "Lamp commands" in output


@pytest.mark.parametrize(
    ("arguments", "output"),
    [(["lamp_a", "colour"], "red\n"), (["rack", "lamp", "colour"], "blue\n")],
)
def test_commands_reach_the_driver(client: CompositeClient, arguments: list[str], output: str):
    result = CliRunner().invoke(client.cli(), arguments)
    assert result.exit_code == 0, result.output
    assert result.output == output


@pytest.mark.usefixtures("levels")
@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "error"])
def test_log_level_is_set_on_all_loggers(client: CompositeClient, level: str):
    other = logging.getLogger("other.logger")
    other.setLevel(logging.NOTSET)
    result = CliRunner().invoke(client.cli(), ["--log-level", level, "lamp_a", "colour"])
    assert result.exit_code == 0, result.output
    expected = logging.getLevelNamesMapping()[level.upper()]
    assert logging.getLogger().level == other.level == expected


def test_without_the_option_levels_stay(client: CompositeClient):
    before = logging.getLogger().level
    CliRunner().invoke(client.cli(), ["lamp_a", "colour"])
    assert logging.getLogger().level == before


def test_unknown_log_level_is_a_usage_error(client: CompositeClient):
    result = CliRunner().invoke(client.cli(), ["--log-level", "LOUD", "lamp_a", "colour"])
    assert result.exit_code == 2
    assert "LOUD" in result.output
