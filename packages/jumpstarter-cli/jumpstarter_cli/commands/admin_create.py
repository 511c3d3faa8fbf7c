"""`jmp admin create`."""

from typing import Any

import click

from jumpstarter_cli.commands.admin_options import (
    admin_options,
    allow_options,
    label_option,
    out_option,
)
from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.groups import CommandGroup
from jumpstarter_cli.options import FILE, insecure_option, nointeractive_option, output_option


@click.group(cls=CommandGroup)
def create() -> None:
    """Make clients, exporters and routers."""


@create.command()
@click.argument("name")
@label_option("Label, at which policies look")
@click.option("--oidc-username", metavar="USER", help="User of an identity provider who may be it")
@click.option("-s", "--save", is_flag=True, help="Write the file of the client")
@out_option
@allow_options
@insecure_option
@nointeractive_option
@admin_options
@output_option("json", "yaml", "name")
def client(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Make a client, which may lease exporters."""
    return deferred("actions.admin_create:create_client")(**given)


@create.command()
@click.argument("name")
@label_option("Label, by which clients select it; at least one")
@click.option("--oidc-username", metavar="USER", help="User of an identity provider who may be it")
@click.option("-s", "--save", is_flag=True, help="Write the file of the exporter")
@out_option
@insecure_option
@nointeractive_option
@admin_options
@output_option("json", "yaml", "name")
def exporter(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Make an exporter.

    Its file has no drivers; `jmp lab add-exporter FILE` puts the credentials into a file that has.
    """
    return deferred("actions.admin_create:create_exporter")(**given)


@create.command()
@click.argument("name")
@click.option(
    "--out", type=FILE, required=True, metavar="FILE", help="File for its token, with mode 0600"
)
@admin_options
@output_option("name")
def router(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Admit a router, and write its token."""
    return deferred("actions.admin_routers:create")(**given)
