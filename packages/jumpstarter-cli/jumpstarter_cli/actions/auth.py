"""`jmp auth`: looks at the token of a client, and replaces it."""

import os
import time
from datetime import datetime
from pathlib import Path

import click
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.model.errors import ConfigurationError

from jumpstarter_cli.access import with_fresh_token
from jumpstarter_cli.actions import renewing
from jumpstarter_cli.selection import chosen_client
from jumpstarter_cli.tokens import SOON_SECONDS, Claims, read_claims, span


def status(client: str | None, client_config: Path | None, *, verbose: bool) -> int:
    """Say how long the token is good; return 1 when it is not.

    Raises ConfigurationError without one, ValueError for one that cannot be read.
    """
    config = chosen_client(client, client_config)
    claims = read_claims(_token(config))
    remaining = claims.remaining(time.time())
    click.echo(f"Status: {_verdict(remaining)}")
    if claims.expires is not None:
        click.echo(f"Expires: {_date(claims.expires)}")
    if verbose:
        _describe(config, claims)
    return 1 if remaining is not None and remaining <= 0 else 0


def refresh(client: str | None, client_config: Path | None) -> int:
    """Replace the token by means of the refresh token, and save it.

    Raises ReauthenticationFailed without one, ConnectionError when the provider refuses.
    """
    config = chosen_client(client, client_config)
    path = _writable(config)
    renewing.refresh(config)
    click.echo(f"Token refreshed, and saved in {path}")
    return 0


def rotate(client: str | None, client_config: Path | None) -> int:
    """Replace the token by one that the controller makes, and save it.

    Raises ConnectionError when the controller refuses.
    """
    config = chosen_client(client, client_config)
    path = _writable(config)
    _token(config)
    with_fresh_token(config, config.rotate_token)
    ClientConfigV1Alpha1.save(config, path)
    click.echo(f"Token rotated, and saved in {path}")
    return 0


def _token(config: ClientConfigV1Alpha1) -> str:
    if not config.token:
        message = f"client '{config.alias}' has no token; log in with `jmp login`"
        raise ConfigurationError(message)
    return config.token


def _writable(config: ClientConfigV1Alpha1) -> Path:
    """Return the file of the client; raises ConfigurationError before anything is replaced."""
    if config.path is None:
        raise ConfigurationError(
            "the client comes from the environment, which cannot keep a new token; name a file "
            "with --client or --client-config"
        )
    if not os.access(config.path.parent, os.W_OK):
        message = f"'{config.path.parent}' cannot be written; a new token would be lost"
        raise ConfigurationError(message)
    return config.path


def _verdict(remaining: float | None) -> str:
    if remaining is None:
        return "Valid, without an end"
    if remaining <= 0:
        return f"Expired {span(remaining)} ago; log in again with `jmp login`"
    soon = ", which is soon" if remaining <= SOON_SECONDS else ""
    return f"Valid for {span(remaining)}{soon}"


def _describe(config: ClientConfigV1Alpha1, claims: Claims) -> None:
    lines = {
        "Client": f"{config.metadata.namespace}/{config.metadata.name}",
        "Endpoint": config.endpoint,
        "Subject": claims.subject,
        "Issuer": claims.issuer,
        "Issued": None if claims.issued is None else _date(claims.issued),
        "Refresh token": "yes" if config.refresh_token else "no",
        "File": config.path,
    }
    for name, value in lines.items():
        if value is not None:
            click.echo(f"{name}: {value}")


def _date(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S %z}"
    except (ValueError, OverflowError, OSError):
        return "beyond all dates"
