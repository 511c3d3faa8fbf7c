"""`jmp config`: the files of clients and of exporters."""

from typing import Any

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.groups import CommandGroup
from jumpstarter_cli.options import (
    FILE,
    complete_alias,
    complete_client,
    insecure_option,
    nointeractive_option,
    output_option,
)


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
@insecure_option
@nointeractive_option
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


@config.group(cls=CommandGroup)
def client() -> None:
    """Manage client files, each known by an alias; one of them is the current one."""


@client.command("create")
@click.argument("alias")
@click.option("--out", type=FILE, metavar="FILE", help="Write this file, not that of the alias")
@click.option("--namespace", help="Namespace of the client")
@click.option("--name", help="Name of the client; the alias by default")
@click.option("-e", "--endpoint", help="Controller of the lab, host:port")
@click.option(
    "-t",
    "--token",
    help="Secret that the controller gave to the client. As an argument, others on this machine "
    "see it: set JMP_TOKEN, or wait for the question",
)
@click.option(
    "-a", "--allow", multiple=True, help="Pattern of driver clients to allow; may be repeated"
)
@click.option("--unsafe", is_flag=True, help="Allow all driver clients")
@insecure_option
@nointeractive_option
@output_option("path")
def create_client(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Create a client file. The first one becomes the current client.

    Asks for what the options leave open.
    """
    return deferred("actions.client_config:create")(**given)


@client.command("list")
@output_option("json", "yaml", "name")
def list_clients(output: str | None) -> int:
    """List the client files, and mark the current one."""
    return deferred("actions.client_config:show_all")(output)


@client.command("use")
@click.argument("alias", metavar="NAME", shell_complete=complete_client)
@output_option("path")
def use_client(alias: str, output: str | None) -> int:
    """Make a client the current one, which commands use unless told otherwise."""
    return deferred("actions.client_config:use")(alias, output)


@client.command("delete")
@click.argument("alias", metavar="NAME", shell_complete=complete_client)
@output_option("path")
def delete_client(alias: str, output: str | None) -> int:
    """Delete a client file."""
    return deferred("actions.client_config:delete")(alias, output)
