"""Options that the commands of administrators have in common."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from jumpstarter_cli.options import FILE

F = TypeVar("F", bound=Callable[..., Any])


def admin_options(command: F) -> F:
    """Add the options that say which lab is meant; those of Kubernetes are there to be refused."""
    for option in (
        click.option("--context", hidden=True, help="Of Kubernetes; refused"),
        click.option("--kubeconfig", hidden=True, help="Of Kubernetes; refused"),
        click.option(
            "-n", "--namespace", help="Namespace; must be the administrator's, and is by default"
        ),
        click.option(
            "--admin-config",
            type=FILE,
            envvar="JMP_ADMIN_CONFIG",
            metavar="FILE",
            help="The administrator's file",
        ),
    ):
        command = option(command)
    return command


def label_option(what: str) -> Callable[[F], F]:
    """Return a decorator that adds `--label`."""
    return click.option(
        "-l", "--label", "labels", multiple=True, metavar="KEY=VALUE", help=f"{what}; repeatable"
    )


def allow_options(command: F) -> F:
    """Add the options that say which driver clients a client may load."""
    unsafe = click.option("--unsafe", is_flag=True, help="Allow all driver clients")
    allow = click.option(
        "-a",
        "--allow",
        multiple=True,
        metavar="PATTERN",
        help="Driver clients to allow, such as mylab.*; with commas, or repeated",
    )
    return allow(unsafe(command))


def out_option(command: F) -> F:
    """Add `--out`."""
    return click.option(
        "--out", type=FILE, metavar="FILE", help="Write this file, not that of the alias"
    )(command)
