"""`jmp shell`."""

from typing import Any

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.options import exporter_options, passphrase_options


@click.command()
@exporter_options
@click.option("--tls-grpc", metavar="HOST:PORT", help="Address where an exporter listens")
@click.option("--tls-grpc-insecure", is_flag=True, help="Connect to it without TLS")
@passphrase_options
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def shell(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Open a shell in which j reaches an exporter.

    With --exporter-config or --exporter, the exporter runs here while the shell is open, and its
    hooks around it. With --tls-grpc it runs elsewhere, and listens.

    A COMMAND after -- runs in place of the shell, and jmp exits with its code: 127 when there is
    no such program, 126 when it cannot be executed, 128 + N when signal N ended it.
    """
    return deferred("actions.shell:shell")(**given)
