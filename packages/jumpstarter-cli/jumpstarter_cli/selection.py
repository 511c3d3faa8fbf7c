"""Which configuration a command uses: what was typed, else the environment's, else the current one.

The one place that knows this order. Commands that act for a client call `chosen_client`.
"""

from pathlib import Path
from typing import TypedDict

import click
from jumpstarter.config.client import ClientConfigV1Alpha1, UserConfigV1Alpha1

CLIENT_OPTIONS = ("--client", "--client-config")
ALL_OPTIONS = (*CLIENT_OPTIONS, "--exporter", "--exporter-config")


class ClientOptions(TypedDict):
    """What `client_options` makes."""

    client: str | None
    client_config: Path | None


def one_at_most(**given: object) -> str | None:
    """Return which of the options is given; raises UsageError when two are."""
    typed = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if len(typed) > 1:
        raise click.UsageError(f"{typed[0]} and {typed[1]} exclude each other")
    return typed[0] if typed else None


def find_client(client: str | None, client_config: Path | None) -> ClientConfigV1Alpha1 | None:
    """Return the client that is meant, or None when nobody says one.

    Raises UsageError for two, jumpstarter.model.errors.FileNotFoundError for one that is not there
    and ConfigurationError for one that is wrong.
    """
    one_at_most(client=client, client_config=client_config)
    if client is not None:
        return ClientConfigV1Alpha1.load(client)
    if client_config is not None:
        return ClientConfigV1Alpha1.from_file(client_config)
    return ClientConfigV1Alpha1.try_from_env() or current_client()


def chosen_client(client: str | None, client_config: Path | None) -> ClientConfigV1Alpha1:
    """Return the client that is meant; raises as `find_client`, and ClickException without one."""
    found = find_client(client, client_config)
    if found is None:
        raise click.ClickException(nothing_chosen(CLIENT_OPTIONS))
    return found


def current_client() -> ClientConfigV1Alpha1 | None:
    """Return the current client of the user, or None; raises as `find_client`."""
    return UserConfigV1Alpha1.load().config.current_client if UserConfigV1Alpha1.exists() else None


def nothing_chosen(options: tuple[str, ...]) -> str:
    """Return what to say when none of `options` is given, and nothing stands in for them."""
    return (
        f"none of {', '.join(options)} is specified, and default config is not set; "
        "`jmp login` makes one, and `jmp config client use ALIAS` chooses one"
    )
