"""`jmp config exporter`."""

from typing import Any

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.groups import CommandGroup
from jumpstarter_cli.options import complete_alias, output_option


@click.group(cls=CommandGroup)
def config() -> None:
    """Manage configuration files."""


@config.group(cls=CommandGroup)
def exporter() -> None:
    """Manage exporter files, each known by an alias."""


@exporter.command()
@click.argument("alias", default="default")
@click.option("--namespace", help="Namespace of the exporter")
@click.option("--name", help="Name of the exporter; the alias by default")
@click.option("--endpoint", help="Controller of a lab, host:port")
@click.option("--token", help="Secret that the controller gave to the exporter")
@click.option("-k", "--insecure-tls", is_flag=True, help="Do not verify the controller")
@click.option("--nointeractive", is_flag=True, help="Take the defaults in place of asking")
@output_option("path", "name")
def create(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Create an exporter file without drivers.

    Asks for what the options leave open.
    """
    return deferred("actions.exporter_config:create")(**given)


@exporter.command()
@click.argument("alias", default="default", shell_complete=complete_alias)
def edit(alias: str) -> int:
    """Open an exporter file in $EDITOR, and check it afterwards."""
    return deferred("actions.exporter_config:edit")(alias)


@exporter.command("list")
@output_option("json", "yaml", "name", "path")
def list_(output: str | None) -> int:
    """List the exporter files, the user's and the system's."""
    return deferred("actions.exporter_config:show_all")(output)


@exporter.command()
@click.argument("alias", shell_complete=complete_alias)
@output_option("path", "name")
def delete(alias: str, output: str | None) -> int:
    """Delete an exporter file of the user."""
    return deferred("actions.exporter_config:delete")(alias, output)
