"""`j`: the commands of the drivers of the exporter that the shell around it reaches.

The exit code is that of the driver's command: the int that it returns, 1 for an error or when there
is no such command, 2 when it was interrupted.
"""

import os
import sys
from collections.abc import Sequence

import click
from jumpstarter.config import env

from jumpstarter_cli.deferred import deferred

COMPLETING = "_J_COMPLETE"
"""Set by the completion script of a shell, which shows nothing but completions."""

_OUTSIDE = (
    f"j works inside a jmp shell: {env.JUMPSTARTER_HOST} is not set; "
    "open one with `jmp shell --exporter-config FILE`"
)


def j() -> None:
    """Run the command that the arguments name, and exit."""
    sys.exit(main(sys.argv[1:]))


def main(args: Sequence[str]) -> int:
    """Run the command that `args` name, and return the exit code."""
    completing = COMPLETING in os.environ
    try:
        if env.text(os.environ, env.JUMPSTARTER_HOST) is None:
            raise click.ClickException(_OUTSIDE)  # noqa: TRY301 - told like every other error
        return deferred("driver_commands:run")(args, completing=completing)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the top of the program
        return 1 if completing else deferred("failures:report")(error)


if __name__ == "__main__":
    j()
