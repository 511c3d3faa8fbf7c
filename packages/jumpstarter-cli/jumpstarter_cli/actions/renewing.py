"""A new token for a client whose old one has run out, or is about to."""

import sys

import click
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.model.errors import (
    ConnectionError,  # noqa: A004 - its public name
    ReauthenticationFailed,
)

from jumpstarter_cli.oidc.browser import browser_login
from jumpstarter_cli.oidc.provider import CLIENT_ID, Provider, Tokens, discover
from jumpstarter_cli.tokens import INTERNAL_ISSUER, NoTokenError, decode


def renew(config: ClientConfigV1Alpha1) -> None:
    """Give `config` and its file a new token: by its refresh token, or by a browser on a terminal.

    Raises ReauthenticationFailed, which says what to do.
    """
    issuer, client_id = _origin(config)
    if issuer is None:
        raise ReauthenticationFailed(
            f"the token of {_who(config)} has expired, and the controller made it: its "
            f"administrator gives a new one, `jmp admin rotate client {config.metadata.name}`"
        )
    try:
        provider = discover(issuer, client_id, insecure=config.tls.insecure)
        keep(config, _tokens(config, provider))
    except ConnectionError as error:
        raise ReauthenticationFailed(
            f"the token of {_who(config)} has expired, and could not be renewed: {error.message}; "
            f"log in again with `jmp login --client {config.alias}`"
        ) from None


def refresh(config: ClientConfigV1Alpha1) -> None:
    """Give `config` and its file a new token by its refresh token.

    Raises ReauthenticationFailed without one, ConnectionError when the provider refuses.
    """
    issuer, client_id = _origin(config)
    if issuer is None or not config.refresh_token:
        raise ReauthenticationFailed(
            f"{_who(config)} has no refresh token; log in with `jmp login --offline-access`, or "
            "replace the token with `jmp auth rotate`"
        )
    provider = discover(issuer, client_id, insecure=config.tls.insecure)
    keep(config, provider.refresh(config.refresh_token))


def keep(config: ClientConfigV1Alpha1, tokens: Tokens) -> None:
    """Put the tokens into `config`, and into its file where it has one."""
    config.token = tokens.access
    config.refresh_token = tokens.refresh or config.refresh_token
    if config.path is not None:
        ClientConfigV1Alpha1.save(config, config.path)


def _tokens(config: ClientConfigV1Alpha1, provider: Provider) -> Tokens:
    if config.refresh_token:
        return provider.refresh(config.refresh_token)
    if not sys.stdin.isatty():
        raise ConnectionError("it has no refresh token")
    return browser_login(provider, 0, _show)


def _show(url: str) -> None:
    click.echo(f"The token has expired. Log in again: {url}", err=True)


def _origin(config: ClientConfigV1Alpha1) -> tuple[str | None, str]:
    """Return who made the token, unless the controller did, and for which program."""
    try:
        content = decode(config.token or "")
    except NoTokenError:
        return None, CLIENT_ID
    issuer, client_id = content.get("iss"), content.get("azp") or content.get("client_id")
    if not isinstance(issuer, str) or issuer == INTERNAL_ISSUER:
        return None, CLIENT_ID
    return issuer, client_id if isinstance(client_id, str) else CLIENT_ID


def _who(config: ClientConfigV1Alpha1) -> str:
    return f"client '{config.alias}'"
