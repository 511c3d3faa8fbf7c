"""`jmp version`."""

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.options import output_option


@click.command()
@output_option("json", "yaml")
def version(output: str | None) -> int:
    """Print the version."""
    return deferred("actions.version:version")(output)
