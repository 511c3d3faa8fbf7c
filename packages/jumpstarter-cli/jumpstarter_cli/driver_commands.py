"""Runs a command of a driver, for `j`."""

import os
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import click
from jumpstarter.client.base import DriverClient, StubDriverClient
from jumpstarter.config import env as names
from jumpstarter.environment import env
from jumpstarter.logging import setup_logging

from jumpstarter_cli.interrupts import interruptible
from jumpstarter_cli.program import exit_code

_PROGRAM = "j"


@runtime_checkable
class HasCommands(Protocol):
    """A client with commands."""

    def cli(self) -> click.Command:
        """Return the command, or the group of commands."""
        ...


def run(args: Sequence[str], *, completing: bool) -> int:
    """Connect to the exporter of this shell, run the command, and return its exit code.

    While `completing`, print what the arguments in the environment can go on with. Raises what the
    command raises, and ClickException when a client class cannot be used.
    """
    setup_logging("WARNING", "text")
    # What cannot be used is told here, when somebody asks for it.
    os.environ.setdefault(names.JMP_SUPPRESS_DRIVER_WARNINGS, "1")
    with interruptible(), env() as client:
        refuse_unusable(client, args)
        command = commands_of(client)
        if not completing and list(args) in ([], ["--help"]):
            _tell_unusable(client)
        if not completing and not args:
            click.echo(command.get_help(click.Context(command, info_name=_PROGRAM)), err=True)
            return 1
        try:
            return exit_code(command.main(list(args), _PROGRAM, standalone_mode=False))
        except click.UsageError as error:
            error.show()
            return 1


def commands_of(client: DriverClient) -> click.Command:
    """Return the commands of the root client; raises ClickException when it has none."""
    if not isinstance(client, HasCommands):
        raise click.ClickException(f"the root of this exporter, {client.name}, has no commands")
    return client.cli()


def refuse_unusable(client: DriverClient, args: Sequence[str]) -> None:
    """Raise ClickException, with the reason, when `args` lead to a client that cannot be used."""
    for name in ("", *args):
        found = client.children.get(name) if name else client
        if found is None:
            return
        reason = why_unusable(found)
        if reason is not None:
            raise click.ClickException(f"{found.name}: {reason}")
        client = found


def why_unusable(client: DriverClient) -> str | None:
    """Return why the class of a client cannot be used here, or None when it can."""
    if not isinstance(client, StubDriverClient):
        return None
    try:
        client.call("cli")
    except ImportError as error:
        return str(error)


def _tell_unusable(client: DriverClient) -> None:
    for name, child in client.children.items():
        reason = why_unusable(child)
        if reason is not None:
            click.echo(f"Warning: no commands for {name}: {reason}", err=True)
