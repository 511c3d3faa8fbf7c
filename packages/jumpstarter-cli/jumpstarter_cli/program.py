"""The top of `jmp`: finds commands when they are used, and ends with an exit code.

Showing the help loads no command, neither ours nor one that another package adds through the
entry-point group `jumpstarter.commands`.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import click

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.groups import CommandGroup

_GROUP = b"[jumpstarter.commands]"


class Entry(CommandGroup):
    """A group of commands that is a program: it ends with an exit code, and tells its errors."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - click's signature
        **extra: Any,  # noqa: ANN401 - click's signature
    ) -> Any:  # noqa: ANN401 - click's signature
        """Run the command that `args` name and exit; without standalone mode return its result."""
        name = prog_name or self.name
        if not standalone_mode:
            return super().main(args, name, complete_var, standalone_mode=False, **extra)
        try:
            result = super().main(args, name, complete_var, standalone_mode=False, **extra)
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001 - the top of the program
            sys.exit(deferred("failures:report")(error))
        sys.exit(exit_code(result))


class Program(Entry):
    """A program whose commands are found when they are used.

    Its commands stand in `jumpstarter_cli.commands`, one in each module of the same name.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - click's own arguments
        helps: Mapping[str, str],
        **kwargs: Any,  # noqa: ANN401 - click's own arguments
    ) -> None:
        """Know the names of the commands, and the line of help of each."""
        super().__init__(*args, **kwargs)
        self.helps = helps

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted; a name of our own hides a foreign one."""
        return sorted({*super().list_commands(ctx), *_plugin_helps(), *self.helps})

    def command_named(self, name: str) -> click.Command | None:
        """Return the command of that name, or None; a foreign one as the stand-in for it."""
        if name in self.helps:
            return deferred(f"commands.{name}:{name}")
        return deferred("plugin_commands:plugin_command")(name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command to run, and its arguments; a foreign one is loaded here."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and command.name not in self.helps:
            command = deferred("plugin_commands:loaded")(command)
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands and their lines of help."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(sorted({**_plugin_helps(), **self.helps}.items()))


def exit_code(result: object) -> int:
    """Return what the result of a command means for the program: an int is its exit code."""
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _plugin_helps() -> Mapping[str, str]:
    """Return the lines of help of foreign commands; costs next to nothing when there are none."""
    if not any(_GROUP in data for path in sys.path for data in _entry_points(path)):
        return {}
    return deferred("plugin_commands:plugin_helps")()


def _entry_points(directory: str) -> Iterator[bytes]:
    """Yield what the packages installed in a directory offer to others.

    Reading these files takes a tenth of the time that `importlib.metadata` does.
    """
    try:
        names = os.listdir(directory or ".")
    except OSError:
        return
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            with suppress(OSError), open(f"{directory or '.'}/{name}/entry_points.txt", "rb") as f:
                yield f.read()
