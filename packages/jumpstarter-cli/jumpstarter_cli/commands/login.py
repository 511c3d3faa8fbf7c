"""`jmp login`."""

from typing import Any

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.options import (
    client_options,
    exporter_options,
    insecure_option,
    nointeractive_option,
)


@click.command()
@click.argument("target", metavar="[[CLIENT@]ENDPOINT]", required=False)
@client_options
@exporter_options
@click.option("-e", "--endpoint", metavar="HOST:PORT", help="Controller of the lab")
@click.option("--namespace", help="Namespace of the client or exporter")
@click.option("--name", help="Name of the client or exporter")
@click.option("--issuer", metavar="URL", help="Identity provider")
@click.option("--client-id", metavar="ID", help="What we are to it; jumpstarter-cli by default")
@click.option(
    "--token",
    help="Token of the lab; with an identity provider, one that it exchanges. As an argument, "
    "others on this machine see it: without an identity provider, wait for the question",
)
@click.option("--username", help="User name at the identity provider")
@click.option("--password", help="Password; asked for by default, and not seen by others then")
@click.option("--connector-id", metavar="ID", help="Who made the token that is to be exchanged")
@click.option(
    "--callback-port",
    type=click.IntRange(0, 65535),
    help="Port of this machine for the browser's answer; a free one by default",
)
@click.option(
    "--offline-access/--no-offline-access",
    default=True,
    help="Ask for a token that gets new tokens, too",
)
@click.option("--device-flow", is_flag=True, help="Log in with a browser of another machine")
@click.option(
    "-a", "--allow", multiple=True, help="Pattern of driver clients to allow; may be repeated"
)
@click.option("--unsafe", is_flag=True, help="Allow all driver clients")
@insecure_option
@nointeractive_option
def login(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Log in to a lab.

    The token is saved in the file of a client, which is the current one from then on. ENDPOINT is
    the lab's login service, which says all that is to be known; without it, --endpoint names the
    controller. With --exporter or --exporter-config it is an exporter that logs in.
    """
    return deferred("actions.login:login")(**given)
