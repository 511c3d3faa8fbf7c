"""An identity provider: where it takes which request, and what it gives for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from jumpstarter.model.errors import ConnectionError  # noqa: A004 - its public name

from .web import RefusalError, get_json, post_form

CLIENT_ID: Final = "jumpstarter-cli"

_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:"  # noqa: S105 - a name, not a secret


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a provider gave."""

    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a user enters elsewhere, and where, while we ask every `interval` seconds."""

    code: str = field(repr=False)
    user_code: str
    uri: str
    interval: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """The provider at `issuer`, to which we are `client_id`; `insecure` means not verified."""

    issuer: str
    client_id: str = CLIENT_ID
    offline_access: bool = True
    insecure: bool = False
    endpoints: Mapping[str, Any]

    @property
    def scope(self) -> str:
        """What the token is to be good for."""
        return "openid profile offline_access" if self.offline_access else "openid profile"

    def endpoint(self, kind: str) -> str:
        """Return where requests of this kind go; raises ConnectionError when they go nowhere."""
        url = self.endpoints.get(f"{kind}_endpoint")
        if not isinstance(url, str):
            raise ConnectionError(f"{self.issuer} has no {kind.replace('_', ' ')} endpoint")
        return url

    def password(self, username: str, password: str) -> Tokens:
        """Return tokens for a user name and password."""
        return self._tokens("password", username=username, password=password, scope=self.scope)

    def exchange(self, token: str, connector_id: str | None) -> Tokens:
        """Return tokens for one of another issuer, to which `connector_id` leads."""
        more = {} if connector_id is None else {"connector_id": connector_id}
        return self._tokens(
            _EXCHANGE,
            subject_token=token,
            subject_token_type=f"{_TOKEN_TYPE}id_token",
            requested_token_type=f"{_TOKEN_TYPE}access_token",
            scope=self.scope,
            **more,
        )

    def refresh(self, token: str) -> Tokens:
        """Return new tokens for the one that was given to get them."""
        found = self._tokens("refresh_token", refresh_token=token)
        return found if found.refresh else Tokens(found.access, token)

    def authorization_code(self, code: str, redirect: str, verifier: str) -> Tokens:
        """Return tokens for a code that a browser has brought."""
        return self._tokens(
            "authorization_code", code=code, redirect_uri=redirect, code_verifier=verifier
        )

    def device_code(self) -> DeviceCode:
        """Return what the user is to enter elsewhere."""
        fields = {"client_id": self.client_id, "scope": self.scope}
        reply = post_form(self.endpoint("device_authorization"), fields, insecure=self.insecure)
        uri = reply.get("verification_uri_complete") or reply.get("verification_uri")
        try:
            return DeviceCode(
                code=str(reply["device_code"]),
                user_code=str(reply["user_code"]),
                uri=str(uri),
                interval=float(reply.get("interval", 5)),
                seconds=float(reply.get("expires_in", 600)),
            )
        except (KeyError, TypeError, ValueError):
            self._refuse("no device code")

    def wait_for_device(self, device: DeviceCode, sleep: Callable[[float], None]) -> Tokens:
        """Return the tokens once the user has agreed; raises ConnectionError when not in time.

        The provider cannot tell us, so that it is asked in the interval that it has set.
        """
        interval, waited = device.interval, 0.0
        while waited < device.seconds:
            sleep(interval)
            waited += interval
            try:
                return self._tokens(_DEVICE, device_code=device.code)
            except RefusalError as refusal:
                if refusal.error == "slow_down":
                    interval += 5
                elif refusal.error != "authorization_pending":
                    raise
        raise ConnectionError("nobody has agreed in time; log in once more")

    def _tokens(self, grant: str, **fields: str) -> Tokens:
        form = {"grant_type": grant, "client_id": self.client_id, **fields}
        reply = post_form(self.endpoint("token"), form, insecure=self.insecure)
        access, refresh = reply.get("access_token"), reply.get("refresh_token")
        if not isinstance(access, str):
            self._refuse("no access token")
        return Tokens(access, refresh if isinstance(refresh, str) else None)

    def _refuse(self, what: str) -> NoReturn:
        raise ConnectionError(f"{self.issuer} answered with {what}")


def discover(
    issuer: str, client_id: str = CLIENT_ID, *, offline_access: bool = True, insecure: bool = False
) -> Provider:
    """Return the provider at `issuer`, as it describes itself; raises ConnectionError."""
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    return Provider(
        issuer=issuer,
        client_id=client_id,
        offline_access=offline_access,
        insecure=insecure,
        endpoints=get_json(url, insecure=insecure),
    )
