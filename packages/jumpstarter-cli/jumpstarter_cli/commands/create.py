"""`jmp create`."""

from typing import Any

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.groups import CommandGroup
from jumpstarter_cli.options import client_options, output_option, selector_option
from jumpstarter_cli.times import INSTANT, SPAN


@click.group(cls=CommandGroup)
def create() -> None:
    """Ask for a lease."""


@create.command()
@client_options
@selector_option("the exporter")
@click.option("-n", "--name", "exporter_name", metavar="NAME", help="Name of the exporter")
@click.option(
    "--duration", type=SPAN, required=True, help="How long: 90 (seconds), 30m, 1h30m, 01:30:00"
)
@click.option("--begin-time", type=INSTANT, help="When it is to begin; at once by default")
@click.option("--lease-id", metavar="ID", help="Name of the lease; one is made by default")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Tag; may be repeated")
@click.option("--allow-disabled", is_flag=True, help="Take a disabled exporter too")
@click.option(
    "--context", multiple=True, metavar="KEY=VALUE", help="What it is for; may be repeated"
)
@click.option("--wait", is_flag=True, help="Return when it is granted, and tell what it waits for")
@output_option("json", "yaml", "name")
def lease(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Ask for a lease, which lasts until its end or until it is deleted.

    With --wait, the exit code is 0 once the lease is granted, and 1 when it never will be.
    """
    return deferred("actions.leases:create")(**given)
