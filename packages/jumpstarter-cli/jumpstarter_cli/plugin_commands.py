"""Commands that other packages add through the entry-point group `jumpstarter.commands`.

Each is loaded when it is used: one that cannot be loaded disturbs nobody else.
"""

import click
from jumpstarter.plugins import COMMANDS, installed


def plugin_helps() -> dict[str, str]:
    """Return a line of help for each command: which package it is from."""
    return {
        name: f"Command of {'another package' if point.dist is None else point.dist.name}."
        for name, point in installed(COMMANDS).items()
    }


def plugin_command(name: str) -> click.Command | None:
    """Return a stand-in for the command of that name, or None; nothing is loaded."""
    helps = plugin_helps()
    return click.Command(name, help=helps[name]) if name in helps else None


def loaded(stand_in: click.Command) -> click.Command:
    """Return the command that a stand-in stands for.

    Raises ClickException, in one line, when it cannot be loaded.
    """
    point = installed(COMMANDS)[str(stand_in.name)]
    try:
        command = point.load()
    except Exception as error:  # the code of anybody may raise anything
        raise _refusal(point.name, point.value, f"{type(error).__name__}: {error}") from error
    if not isinstance(command, click.Command):
        raise _refusal(point.name, point.value, "it is no click command")
    return command


def _refusal(name: str, value: str, reason: str) -> click.ClickException:
    return click.ClickException(
        f"the command '{name}' cannot be loaded from {value}: {reason}; "
        "update or remove the package that adds it"
    )
