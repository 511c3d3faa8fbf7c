"""`jmp delete`."""

from typing import Any

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.groups import CommandGroup
from jumpstarter_cli.options import client_options, output_option, selector_option


@click.group(cls=CommandGroup)
def delete() -> None:
    """Release leases."""


@delete.command()
@client_options
@click.argument("names", nargs=-1, metavar="[NAME]...")
@selector_option("the leases")
@click.option("-a", "--all", "every", is_flag=True, help="Release all of your own")
@click.option("-A", "--all-clients", is_flag=True, help="Consider those of other clients too")
@output_option("name")
def leases(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Release leases: those that are named, that match, or all."""
    return deferred("actions.leases:delete")(**given)
