"""`jmp update`."""

from typing import Any

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.groups import CommandGroup
from jumpstarter_cli.options import client_options, output_option
from jumpstarter_cli.times import INSTANT, SPAN


@click.group(cls=CommandGroup)
def update() -> None:
    """Change a lease."""


@update.command()
@client_options
@click.argument("name")
@click.option("--duration", type=SPAN, help="How long it lasts in all, from its begin")
@click.option("--begin-time", type=INSTANT, help="When it is to begin")
@click.option("--to-client", metavar="NAME", help="Client who holds it from now on")
@output_option("json", "yaml", "name")
def lease(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Change how long a lease lasts, when it begins, or who holds it."""
    return deferred("actions.leases:update")(**given)
