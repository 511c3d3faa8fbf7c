"""Groups and commands: which text becomes the help, and that the rest is click's."""

from dataclasses import dataclass, field

import click
import pytest
from click.testing import CliRunner

from jumpstarter.client.decorators import (
    DriverClickGroup,
    driver_click_command,
    driver_click_group,
)


@dataclass(frozen=True)
class Texts:
    """The configuration's texts for one client."""

    description: str | None = None
    methods_description: dict[str, str] = field(default_factory=dict[str, str])


def _output(command: click.Command, *arguments: str) -> str:
    result = CliRunner().invoke(command, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_group_is_named_after_the_function():
    @driver_click_group(Texts())
    def base() -> None:
        """Docstring."""

    assert isinstance(base, DriverClickGroup)
    assert base.name == "base"


@pytest.mark.parametrize(
    ("description", "given", "shown"),
    [
        ("from configuration", "from argument", "from configuration"),
        ("from configuration", None, "from configuration"),
        (None, "from argument", "from argument"),
        ("", "from argument", "from argument"),
        (None, None, "from docstring"),
    ],
)
def test_help_of_a_group(description: str | None, given: str | None, shown: str):
    arguments = {} if given is None else {"help": given}

    @driver_click_group(Texts(description), **arguments)
    def base() -> None:
        """from docstring"""

    assert shown in _output(base, "--help")
    assert base.help == shown


@pytest.mark.parametrize(
    ("description", "given", "shown"),
    [
        ("from configuration", "from argument", "from configuration"),
        (None, "from argument", "from argument"),
        (None, None, "from docstring"),
    ],
)
def test_help_of_a_single_command(description: str | None, given: str | None, shown: str):
    arguments = {} if given is None else {"help": given}

    @driver_click_command(Texts(description), **arguments)
    def ssh() -> None:
        """from docstring"""

    assert ssh.help == shown
    assert ssh.name == "ssh"


def test_options_of_a_group_are_kept():
    @driver_click_group(Texts("described"), invoke_without_command=True)
    @click.option("--level", default="low")
    def base(level: str) -> None:
        click.echo(f"level {level}")

    assert _output(base, "--level", "high") == "level high\n"


def test_options_of_a_single_command_are_kept():
    @driver_click_command(Texts("described"), context_settings={"ignore_unknown_options": True})
    @click.argument("words", nargs=-1)
    def ssh(words: tuple[str, ...]) -> None:
        click.echo(" ".join(words))

    assert _output(ssh, "-v", "uname") == "-v uname\n"


def _group_with_commands(texts: Texts) -> DriverClickGroup:
    @driver_click_group(texts)
    def base() -> None:
        """Group."""

    @base.command
    def on() -> None:
        """on, from docstring"""

    @base.command()
    def power_off() -> None:
        """off, from docstring"""

    @base.command(name="cycle", help="cycle, from argument")
    def power_cycle() -> None:
        """Not shown."""

    @base.command("read")
    def take_readings() -> None:
        """read, from docstring"""

    assert [on.name, power_off.name, power_cycle.name] == ["on", "power-off", "cycle"]
    assert take_readings.name == "read"
    return base


def test_help_of_commands_without_configuration():
    base = _group_with_commands(Texts())
    assert {name: command.help for name, command in base.commands.items()} == {
        "on": "on, from docstring",
        "power-off": "off, from docstring",
        "cycle": "cycle, from argument",
        "read": "read, from docstring",
    }


def test_configuration_replaces_help_of_commands():
    texts = {name: f"{name}, configured" for name in ("on", "power-off", "cycle", "read")}
    base = _group_with_commands(Texts(None, texts))
    assert {name: command.help for name, command in base.commands.items()} == texts
    assert "cycle, configured" in _output(base, "--help")


def test_configuration_for_other_commands_changes_nothing():
    base = _group_with_commands(Texts(None, {"reset": "configured"}))
    assert base.commands["on"].help == "on, from docstring"


def test_function_names_that_click_shortens_are_found():
    @driver_click_group(Texts(None, {"flash-command": "configured"}))
    def base() -> None:
        """Group."""

    @base.command
    def flash_command() -> None:
        """Not shown."""

    assert flash_command.help == "configured"


def test_a_group_below_keeps_its_help():
    @driver_click_group(Texts(None, {"storage": "configured"}))
    def base() -> None:
        """Group."""

    @base.group()
    def storage() -> None:
        """from docstring"""

    assert storage.help == "from docstring"
    assert base.commands["storage"] is storage
