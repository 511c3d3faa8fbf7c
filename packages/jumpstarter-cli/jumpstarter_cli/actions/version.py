"""`jmp version`."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

import click

import jumpstarter_cli
from jumpstarter_cli.output import print_data


def version(output: str | None) -> int:
    """Print the version of this program and of its Python."""
    own = installed_version("jumpstarter-cli")
    python = sys.version.replace("\n", " ")
    if output is not None:
        print_data({"gitVersion": own, "pythonVersion": python}, output)
    else:
        folder = Path(jumpstarter_cli.__path__[0]).parent
        click.echo(f"Jumpstarter v{own} from {folder} (Python {python})")
    return 0
