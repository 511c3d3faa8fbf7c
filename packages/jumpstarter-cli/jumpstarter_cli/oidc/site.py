"""What a lab tells those who want to log in: its login service's `/v1/auth/config`."""

from dataclasses import dataclass
from typing import Any, cast

import click
from jumpstarter.model.errors import ConnectionError  # noqa: A004 - its public name

from .web import get_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A lab; `ca` is PEM in base64, as a client's file has it."""

    endpoint: str | None = None
    namespace: str | None = None
    ca: str = ""
    issuer: str | None = None
    client_id: str | None = None


def split_target(target: str | None) -> tuple[str | None, str | None]:
    """Return client and address of `[client@]ENDPOINT`; raises UsageError for other text."""
    if target is None:
        return None, None
    client, sign, server = target.rpartition("@")
    if not server or (sign and not client):
        raise click.UsageError(f"'{target}' is no [CLIENT@]ENDPOINT")
    return client or None, server


def site_url(server: str, *, insecure: bool) -> str:
    """Return the address of the login service; raises UsageError for one that is not protected."""
    if server.startswith("http://") and not insecure:
        raise click.UsageError(
            f"'{server}' is not protected: everybody on the way could send you elsewhere; "
            "use https://, or -k to go on all the same"
        )
    return server if server.startswith(("http://", "https://")) else f"https://{server}"


def fetch_site(server: str, *, insecure: bool) -> Site:
    """Return what the lab at `server` tells; raises UsageError or ConnectionError."""
    url = f"{site_url(server, insecure=insecure).rstrip('/')}/v1/auth/config"
    return read_site(get_json(url, insecure=insecure), url)


def read_site(content: dict[str, Any], url: str) -> Site:
    """Return what the answer of the login service says; raises ConnectionError for nonsense."""
    endpoint = content.get("grpcEndpoint")
    if not isinstance(endpoint, str) or not endpoint:
        raise ConnectionError(f"{url} names no grpcEndpoint; is it the login service of a lab?")
    given = content.get("oidc")
    first = cast("list[object]", given)[0] if isinstance(given, list) and given else None
    provider = cast("dict[str, Any]", first) if isinstance(first, dict) else {}
    return Site(
        endpoint=endpoint,
        namespace=_text(content.get("namespace")),
        ca=_text(content.get("caBundle")) or "",
        issuer=_text(provider.get("issuer")),
        client_id=_text(provider.get("clientId")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
