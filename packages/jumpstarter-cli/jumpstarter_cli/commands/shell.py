"""`jmp shell`."""

from datetime import timedelta
from typing import Any

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.options import (
    client_options,
    exporter_options,
    passphrase_options,
    selector_option,
)
from jumpstarter_cli.times import SPAN, span_type

_FIVE_SECONDS = span_type(timedelta(seconds=5))
_ANY_SECONDS = span_type(timedelta(0))


@click.command()
@client_options
@click.option("--lease", metavar="NAME", help="Use this lease, and keep it; also JMP_LEASE")
@selector_option("the exporter to lease")
@click.option("-n", "--name", "exporter_name", metavar="NAME", help="Name of the exporter to lease")
@click.option("--duration", type=SPAN, help="How long to lease it at most; 30m by default")
@click.option("--exporter-logs", is_flag=True, help="Show the log of the exporter")
@click.option(
    "--acquisition-timeout", type=_FIVE_SECONDS, help="How long to wait for a lease; at least 5s"
)
@click.option(
    "--retry-timeout",
    type=_ANY_SECONDS,
    help="How long to go on trying when the exporter is not reached; 0 gives up at once",
)
@click.option(
    "--dial-timeout", type=_FIVE_SECONDS, help="How long to wait for its answer; at least 5s"
)
@exporter_options
@click.option("--tls-grpc", metavar="HOST:PORT", help="Address where an exporter listens")
@click.option("--tls-grpc-insecure", is_flag=True, help="Connect to it without TLS")
@passphrase_options
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def shell(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Open a shell in which j reaches an exporter.

    A client leases one: by --selector or --name, for as long as the shell is open; by --lease, one
    that it has already, and keeps; without these, the one lease that it has. The client is that of
    --client or --client-config, else that of the environment, else the current one.

    With --exporter-config or --exporter, the exporter runs here while the shell is open, and its
    hooks around it. With --tls-grpc it runs elsewhere, and listens.

    A COMMAND after -- runs in place of the shell, and jmp exits with its code: 127 when there is
    no such program, 126 when it cannot be executed, 128 + N when signal N ended it. When a lease
    ends, the shell or command gets a hangup.
    """
    return deferred("actions.shell:shell")(given)
