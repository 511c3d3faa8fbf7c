"""`jmp-admin`: the commands of `jmp admin` as a program of their own, as in release 0.9.0."""

import click

from jumpstarter_cli.commands.admin import admin
from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.program import Entry


@click.group("jmp-admin", cls=Entry, commands=admin.commands, help=admin.help)
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], case_sensitive=False),
    help="Least level of log records to show; DEBUG also shows where an error comes from",
)
def jmp_admin(log_level: str | None) -> None:
    """Is told in the help as `jmp admin` is."""
    deferred("logs:log_to_person")(deferred("logs:LogChoice")(log_level, "text"))


if __name__ == "__main__":
    jmp_admin(prog_name="jmp-admin")
