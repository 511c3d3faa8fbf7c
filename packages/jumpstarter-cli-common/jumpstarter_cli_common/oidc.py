"""Logging in, and what a token says of itself."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click
from anyio import to_thread
from jumpstarter.config import env
from jumpstarter_cli.oidc.browser import browser_login
from jumpstarter_cli.oidc.provider import CLIENT_ID, Provider, Tokens, discover
from jumpstarter_cli.tokens import SOON_SECONDS, decode, read_claims, span

F = TypeVar("F", bound=Callable[..., Any])

TOKEN_EXPIRY_WARNING_SECONDS: Final = int(SOON_SECONDS)

_OPTIONS = ("token", "username", "password", "connector-id")


@dataclass(kw_only=True)
class Config:
    """An identity provider; each grant returns `access_token`, and `refresh_token` if there is one.

    All raise jumpstarter.common.exceptions.ConnectionError.
    """

    issuer: str
    client_id: str
    offline_access: bool = False
    insecure_tls: bool = False

    async def token_exchange_grant(
        self, token: str, connector_id: str | None = None
    ) -> dict[str, str]:
        """Return tokens for one of another issuer."""
        return await self._grant(lambda provider: provider.exchange(token, connector_id))

    async def refresh_token_grant(self, refresh_token: str) -> dict[str, str]:
        """Return tokens for the one that was given to get them."""
        return await self._grant(lambda provider: provider.refresh(refresh_token))

    async def password_grant(self, username: str, password: str) -> dict[str, str]:
        """Return tokens for a user name and password."""
        return await self._grant(lambda provider: provider.password(username, password))

    async def authorization_code_grant(
        self,
        callback_port: int | None = None,
        prompt: str | None = None,
    ) -> dict[str, str]:
        """Return tokens for a login with a browser."""
        del prompt
        return await self._grant(
            lambda provider: browser_login(provider, callback_port or 0, click.echo)
        )

    async def _grant(self, grant: Callable[[Provider], Tokens]) -> dict[str, str]:
        def work() -> Tokens:
            provider = discover(
                self.issuer,
                self.client_id,
                offline_access=self.offline_access,
                insecure=self.insecure_tls,
            )
            return grant(provider)

        tokens = await to_thread.run_sync(work, abandon_on_cancel=True)
        more = {} if tokens.refresh is None else {"refresh_token": tokens.refresh}
        return {"access_token": tokens.access, **more}


def opt_oidc(f: F) -> F:
    """Add the options of a login."""
    for name in _OPTIONS:
        f = click.option(f"--{name}", help=f"{name.capitalize()} of the login")(f)
    f = click.option("--client-id", default=CLIENT_ID, help="What we are to the provider")(f)
    f = click.option("--callback-port", type=click.IntRange(0, 65535), help="Port to call back")(f)
    return click.option(
        "--offline-access/--no-offline-access", default=True, help="Ask for a refresh token"
    )(f)


def should_use_device_flow() -> bool:
    """Return whether the environment asks for a login on another machine."""
    return bool(env.flag(os.environ, env.JMP_OIDC_DEVICE_FLOW))


def decode_jwt(token: str) -> dict[str, Any]:
    """Return what the token says, unverified; raises ValueError for one that cannot be read."""
    return decode(token)


def decode_jwt_issuer(token: str) -> str | None:
    """Return who made the token, unverified; raises ValueError for one that cannot be read."""
    return read_claims(token).issuer


def get_token_remaining_seconds(token: str) -> float | None:
    """Return how long the token is good; None for one without an end. Raises ValueError."""
    return read_claims(token).remaining(time.time())


def format_duration(seconds: float) -> str:
    """Return a span for people."""
    return span(seconds)
