"""`jmp admin get`."""

from typing import Any

import click

from jumpstarter_cli.commands.admin_options import admin_options
from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.groups import CommandGroup
from jumpstarter_cli.options import output_option, selector_option


@click.group(cls=CommandGroup)
def get() -> None:
    """Show what a lab consists of."""


@get.command()
@click.argument("name", required=False)
@selector_option("the clients")
@admin_options
@output_option("json", "yaml", "name")
def client(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Show one client, or all."""
    return deferred("actions.admin_get:clients")(**given)


@get.command()
@click.argument("name", required=False)
@selector_option("the exporters")
@click.option("-d", "--devices", is_flag=True, help="A row for each of their drivers")
@admin_options
@output_option("json", "yaml", "name")
def exporter(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Show one exporter, or all."""
    return deferred("actions.admin_get:exporters")(**given)


@get.command()
@click.argument("name", required=False)
@selector_option("the leases")
@click.option("-a", "--all", "include_ended", is_flag=True, help="Those that have ended too")
@admin_options
@output_option("json", "yaml", "name")
def lease(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Show one lease, or everybody's."""
    return deferred("actions.admin_get:leases")(**given)


@get.command()
@click.argument("name", required=False)
@admin_options
@output_option("json", "yaml", "name")
def policy(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Show one access policy, or all; as YAML it can be changed and put again."""
    return deferred("actions.admin_policies:show")(**given)


@get.command()
@click.argument("name", required=False)
@admin_options
@output_option("json", "yaml", "name")
def router(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Show one router, or all that were admitted."""
    return deferred("actions.admin_routers:show")(**given)
