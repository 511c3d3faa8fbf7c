"""Work that needs the controller, done once more with a new token when the old one has run out."""

import time
from collections.abc import Callable
from typing import TypeVar

from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.model.errors import (
    ConfigurationError,
    ConnectionError,  # noqa: A004 - its public name
)

from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.tokens import NoTokenError, read_claims

T = TypeVar("T")


def with_fresh_token(config: ClientConfigV1Alpha1, work: Callable[[], T]) -> T:
    """Return what `work` does; when the token has run out, it is renewed first.

    Raises as `work`, and ReauthenticationFailed when there is no new token to be had.
    """
    if has_run_out(config):
        renew(config)
    try:
        return work()
    except ConnectionError as error:
        if "expired" not in error.message.lower():
            raise
        renew(config)
    return work()


def renew(config: ClientConfigV1Alpha1) -> None:
    """Give `config` and its file a new token; raises ReauthenticationFailed."""
    deferred("actions.renewing:renew")(config)


def has_run_out(config: ClientConfigV1Alpha1) -> bool:
    """Return whether the token says that it is good no more."""
    if not config.token:
        return False
    try:
        remaining = read_claims(config.token).remaining(time.time())
    except NoTokenError:
        return False
    return remaining is not None and remaining <= 0


def own_name(config: ClientConfigV1Alpha1) -> str:
    """Return the client's name; raises ConfigurationError for one that has none."""
    if not config.metadata.name:
        where = config.path or f"client '{config.alias}'"
        raise ConfigurationError(
            f"{where}: metadata.name is empty, so that it is not known which leases are its own; "
            "set it, or use --all-clients"
        )
    return config.metadata.name
