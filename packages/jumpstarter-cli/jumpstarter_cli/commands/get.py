"""`jmp get`."""

from typing import Any

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.groups import CommandGroup
from jumpstarter_cli.options import client_options, output_option, selector_option

_page_size = click.option(
    "--page-size",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="How many the controller is asked for at once",
)


@click.group(cls=CommandGroup)
def get() -> None:
    """Show the exporters and leases of a lab."""


@get.command()
@client_options
@selector_option("the exporters")
@click.option(
    "--with",
    "extra",
    multiple=True,
    metavar="leases,online,status",
    help="Columns to add; may be repeated",
)
@click.option("--allow-disabled", is_flag=True, help="Show the disabled ones too")
@click.option("--show-hidden-labels", is_flag=True, help="Show the labels that the lab hides")
@_page_size
@output_option("json", "yaml", "name")
def exporters(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Show the exporters of the lab."""
    return deferred("actions.exporters:show")(**given)


@get.command()
@client_options
@click.argument("names", nargs=-1, metavar="[NAME]...")
@selector_option("the leases")
@click.option("-a", "--all", "ended", is_flag=True, help="Show the ended ones too")
@click.option("-A", "--all-clients", is_flag=True, help="Show those of other clients too")
@click.option(
    "--tag-filter", multiple=True, metavar="SELECTOR", help="Tags of the leases, as a selector"
)
@_page_size
@output_option("json", "yaml", "name")
def leases(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Show leases: your own that have not ended, or those that are named."""
    return deferred("actions.leases:show")(**given)
