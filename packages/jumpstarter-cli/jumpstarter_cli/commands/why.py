"""`jmp why`."""

from typing import Any

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.options import client_options, output_option


@click.command()
@client_options
@click.argument("lease")
@output_option("json", "yaml")
def why(**given: Any) -> int:  # noqa: ANN401 - what the options above make
    """Say what a lease waits for.

    Its place in the queue, who is ahead of it, who holds what it could have, and the reason; of a
    lease that does not wait, how it stands.
    """
    return deferred("actions.leases:why")(**given)
