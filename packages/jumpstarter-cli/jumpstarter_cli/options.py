"""Options that several commands have in common."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click

from jumpstarter_cli.client_files import client_aliases
from jumpstarter_cli.exporter_files import exporter_paths

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path)
"""A path that a shell completes; what is wrong with the file, its reader says."""


def complete_alias(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Return the aliases of exporter files that begin with what was typed."""
    with suppress(OSError):
        return [alias for alias in exporter_paths() if alias.startswith(incomplete)]
    return []


def complete_client(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Return the aliases of client files that begin with what was typed."""
    with suppress(OSError):
        return [alias for alias in client_aliases() if alias.startswith(incomplete)]
    return []


def client_options(command: F) -> F:
    """Add the options that choose a client; without one, it is that of the environment or user."""
    by_path = click.option("--client-config", type=FILE, metavar="FILE", help="Client file")
    by_alias = click.option(
        "--client", metavar="ALIAS", shell_complete=complete_client, help="Alias of the client file"
    )
    return by_path(by_alias(command))


def selector_option(what: str) -> Callable[[F], F]:
    """Return a decorator that adds `--selector`, which chooses among `what`."""
    return click.option(
        "-l",
        "--selector",
        "selectors",
        multiple=True,
        metavar="SELECTOR",
        help=f"Labels of {what}: k=v, k!=v, k in (a,b), k notin (a,b), k, !k; all of those given",
    )


def exporter_options(command: F) -> F:
    """Add the options that choose an exporter file."""
    by_path = click.option("--exporter-config", type=FILE, metavar="FILE", help="Exporter file")
    by_alias = click.option(
        "--exporter", metavar="ALIAS", shell_complete=complete_alias, help="Alias of the file"
    )
    return by_path(by_alias(command))


def insecure_option(command: F) -> F:
    """Add `--insecure-tls`."""
    return click.option("-k", "--insecure-tls", is_flag=True, help="Do not verify the controller")(
        command
    )


def nointeractive_option(command: F) -> F:
    """Add `--nointeractive`."""
    return click.option(
        "--nointeractive", is_flag=True, help="Take the defaults in place of asking"
    )(command)


def passphrase_options(command: F) -> F:
    """Add the options for the secret that an exporter shares with its clients."""
    by_text = click.option(
        "--passphrase",
        metavar="TEXT",
        help="Secret of the exporter and its clients. As an argument, others on this machine see "
        "it: use --passphrase-file, or the variable JMP_GRPC_PASSPHRASE",
    )
    by_file = click.option(
        "--passphrase-file", type=FILE, metavar="FILE", help="File whose first line is the secret"
    )
    return by_text(by_file(command))


def output_option(*formats: str) -> Callable[[F], F]:
    """Return a decorator that adds `--output` with these formats."""
    return click.option("-o", "--output", type=click.Choice(formats), help="Form of the output")
