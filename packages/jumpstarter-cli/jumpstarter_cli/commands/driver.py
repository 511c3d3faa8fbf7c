"""`jmp driver`."""

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.groups import CommandGroup
from jumpstarter_cli.options import output_option


def complete_driver(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Return the short names of drivers that begin with what was typed."""
    names = deferred("drivers.installed:names")()
    return [name for name in names if name.startswith(incomplete)]


@click.group(cls=CommandGroup)
def driver() -> None:
    """Look at the drivers that are installed."""


@driver.command("list")
@output_option("json", "yaml", "name")
def list_(output: str | None) -> int:
    """List the drivers that exporter files may name, with what clients use them through."""
    return deferred("actions.driver:show_all")(output)


@driver.command()
@click.argument("name", shell_complete=complete_driver)
@output_option("json", "yaml")
def show(name: str, output: str | None) -> int:
    """Show what a driver takes, and which methods and streams it has.

    NAME is one from the list of drivers, or the dotted path of a class.
    """
    return deferred("actions.driver:show")(name, output)
