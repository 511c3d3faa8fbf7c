"""`jmp`: what it is, and which commands it has."""

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.program import Program

COMMANDS = {
    "admin": "Manage the clients and exporters of a lab, as its administrator.",
    "auth": "Look at the token of a client, and replace it.",
    "completion": "Print the script that completes jmp and j in a shell.",
    "config": "Manage configuration files.",
    "create": "Ask for a lease.",
    "delete": "Release leases.",
    "driver": "Look at the drivers that are installed.",
    "exporter": "Check exporter files.",
    "get": "Show the exporters and leases of a lab.",
    "lab": "Run a lab on this machine, and add exporters and clients to it.",
    "login": "Log in to a lab.",
    "run": "Run an exporter, for its controller or for a client that connects to it.",
    "shell": "Open a shell in which j reaches an exporter.",
    "update": "Change a lease.",
    "version": "Print the version.",
    "why": "Say what a lease waits for.",
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
