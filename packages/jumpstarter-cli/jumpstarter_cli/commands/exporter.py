"""`jmp exporter`."""

from pathlib import Path

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.groups import CommandGroup
from jumpstarter_cli.options import FILE, output_option


@click.group(cls=CommandGroup)
def exporter() -> None:
    """Check exporter files."""


@exporter.command()
@click.argument("file", type=FILE)
@output_option("json", "yaml")
def check(file: Path, output: str | None) -> int:
    """Say everything that is wrong in an exporter file, with line numbers.

    The classes of its drivers are looked at; no driver is started. The exit code is 1 when
    something is wrong.
    """
    return deferred("actions.exporter:check")(file, output)


@exporter.command()
def schema() -> int:
    """Print the JSON Schema of exporter files, for editors."""
    return deferred("actions.exporter:schema")()
