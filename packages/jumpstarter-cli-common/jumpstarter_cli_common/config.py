"""The options that choose a configuration, handed to a command as the keyword `config`."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click
from jumpstarter.model.errors import FileNotFoundError  # noqa: A004 - its public name
from jumpstarter_cli.exporter_files import chosen_file
from jumpstarter_cli.loading import load
from jumpstarter_cli.options import client_options, exporter_options
from jumpstarter_cli.selection import (
    ALL_OPTIONS,
    CLIENT_OPTIONS,
    find_client,
    nothing_chosen,
    one_at_most,
)

F = TypeVar("F", bound=Callable[..., Any])
_KEYS = ("client", "client_config", "exporter", "exporter_config")


def opt_config(
    *, client: bool = True, exporter: bool = True, allow_missing: bool = False
) -> Callable[[F], F]:
    """Return a decorator that adds the options, and passes what they choose as `config`.

    With `allow_missing`, what is chosen and not there is passed as a pair of the option, such as
    `client`, and its value.
    """

    def decorate(command: F) -> F:
        @wraps(command)
        def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - those of any command
            given = {key: kwargs.pop(key, None) for key in _KEYS}
            choice = one_at_most(**given)
            try:
                config = _chosen(given, client=client, exporter=exporter)
            except FileNotFoundError:
                if not allow_missing or choice is None:
                    raise
                key = choice.removeprefix("--").replace("-", "_")
                config = (key, given[key])
            return command(*args, config=config, **kwargs)

        wrapped: Any = wrapper
        wrapped = client_options(wrapped) if client else wrapped
        return exporter_options(wrapped) if exporter else wrapped

    return decorate


def _chosen(given: dict[str, Any], *, client: bool, exporter: bool) -> object:
    file = chosen_file(given["exporter"], given["exporter_config"])
    if file is not None:
        return load(file)
    found = find_client(given["client"], given["client_config"]) if client else None
    if found is None and not client:
        raise click.UsageError(f"one of {', '.join(ALL_OPTIONS[2:])} is needed")
    if found is None:
        raise click.ClickException(nothing_chosen(ALL_OPTIONS if exporter else CLIENT_OPTIONS))
    return found
