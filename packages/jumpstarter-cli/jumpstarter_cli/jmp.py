"""`jmp`: what it is, and which commands it has."""

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.program import Program

COMMANDS = {
    "completion": "Print the script that completes jmp and j in a shell.",
    "config": "Manage configuration files.",
    "driver": "Look at the drivers that are installed.",
    "exporter": "Check exporter files.",
    "run": "Run an exporter that listens for a client.",
    "shell": "Open a shell in which j reaches an exporter.",
    "version": "Print the version.",
}
"""The first sentence of each command's help."""


@click.group(cls=Program, helps=COMMANDS)
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], case_sensitive=False),
    help="Least level of log records to show; DEBUG also shows where an error comes from",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "json", "text"]),
    default="auto",
    help="Form of the log of `jmp run`; auto is text on a terminal, and JSON elsewhere",
)
@click.pass_context
def jmp(context: click.Context, log_level: str | None, log_format: str) -> None:
    """Use devices through their exporters."""
    context.obj = deferred("logs:LogChoice")(log_level, log_format)
    deferred("logs:log_to_person")(context.obj)
