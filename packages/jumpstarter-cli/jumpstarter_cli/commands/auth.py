"""`jmp auth`."""

from typing import Any

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.groups import CommandGroup
from jumpstarter_cli.options import client_options


@click.group(cls=CommandGroup)
def auth() -> None:
    """Look at the token of a client, and replace it."""


@auth.command()
@client_options
@click.option("-v", "--verbose", is_flag=True, help="Show also whose it is, and who made it")
def status(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Say how long the token is good. The exit code is 1 when it has expired."""
    return deferred("actions.auth:status")(**given)


@auth.command()
@client_options
def refresh(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Get a new token from the identity provider, by the refresh token."""
    return deferred("actions.auth:refresh")(**given)


@auth.command()
@client_options
def rotate(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Get a new token from the controller; those before it are refused from then on."""
    return deferred("actions.auth:rotate")(**given)
