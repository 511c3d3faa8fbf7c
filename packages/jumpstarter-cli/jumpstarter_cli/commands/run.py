"""`jmp run`."""

from typing import Any

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.options import FILE, exporter_options, passphrase_options


@click.command()
@exporter_options
@click.option(
    "--tls-grpc-listener",
    metavar="[HOST:]PORT",
    help="Address to listen on. Without HOST it is 127.0.0.1; for clients elsewhere give one, such "
    "as 0.0.0.0. Port 0 takes a free one",
)
@click.option("--tls-grpc-insecure", is_flag=True, help="Listen without TLS")
@click.option("--tls-cert", type=FILE, metavar="FILE", help="Certificate, with its chain, as PEM")
@click.option("--tls-key", type=FILE, metavar="FILE", help="Private key of the certificate, as PEM")
@passphrase_options
@click.option("--exit-on-lease-end", is_flag=True, help="Stop when the first lease has ended")
@click.pass_obj
def run(log: object, **given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Run an exporter, for its controller or for a client that connects to it.

    The controller is the one that the exporter's file names. With --tls-grpc-listener there is
    none: the exporter listens, and prints its address when it is ready.

    It serves one session after the other, each with new drivers and with its hooks around it, until
    SIGINT or SIGTERM. Then the session ends with its afterLease hook, the controller is told, and
    the exit code is 0. With SIGHUP a lease of the controller goes on to its end first. A second
    signal ends the program at once. A controller that is away is waited for; what runs goes on.

    The exit code is 1 when the exporter cannot start, when its controller has never accepted it,
    when a hook stops it, or when lease after lease cannot be served.
    """
    return deferred("actions.run:run")(log=log, **given)
