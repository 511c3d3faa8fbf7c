"""`jmp login`: from what was typed, and what the lab says of itself, to a token and a file."""

import os
import time
from pathlib import Path
from typing import TypedDict, Unpack

import click
from jumpstarter.config import env
from jumpstarter.config.client import ClientConfigV1Alpha1Drivers
from jumpstarter.config.tls import TLSConfigV1Alpha1

from jumpstarter_cli.actions.login_files import (
    Granted,
    LoginFile,
    client_file,
    exporter_file,
)
from jumpstarter_cli.oidc.browser import browser_login
from jumpstarter_cli.oidc.provider import CLIENT_ID, Provider, Tokens, discover
from jumpstarter_cli.oidc.site import Site, fetch_site, split_target
from jumpstarter_cli.questions import ask, ask_drivers, confirm_insecure
from jumpstarter_cli.selection import current_client, one_at_most
from jumpstarter_cli.tokens import INTERNAL_ISSUER, NoTokenError, read_claims
from jumpstarter_cli.words import listed

_MAX_PORT = 65535


class LoginOptions(TypedDict):
    """What was typed."""

    target: str | None
    client: str | None
    client_config: Path | None
    exporter: str | None
    exporter_config: Path | None
    endpoint: str | None
    namespace: str | None
    name: str | None
    issuer: str | None
    client_id: str | None
    token: str | None
    username: str | None
    password: str | None
    connector_id: str | None
    callback_port: int | None
    offline_access: bool
    device_flow: bool
    allow: tuple[str, ...]
    unsafe: bool
    insecure_tls: bool
    nointeractive: bool


def login(**given: Unpack[LoginOptions]) -> int:
    """Get a token, and write it to a file with all that it takes to use it.

    Raises UsageError for what is missing, ConnectionError when lab or provider refuse; then no file
    is changed.
    """
    file, server = _file(given)
    insecure = given["insecure_tls"]
    confirm_insecure(insecure=insecure, nointeractive=given["nointeractive"])
    site = Site() if server is None else fetch_site(server, insecure=insecure)
    endpoint = _endpoint(given, site, file)
    tokens = _tokens(given, site, file)
    path = file.save(_granted(given, site, file, endpoint, tokens))
    click.echo(f"Logged in; {'exporter' if file.is_exporter else 'client'} saved in {path}")
    return 0


def _file(given: LoginOptions) -> tuple[LoginFile, str | None]:
    """Return which file is meant, and where the login service is, if that was typed."""
    client, server = split_target(given["target"])
    choice = one_at_most(
        client=given["client"],
        client_config=given["client_config"],
        exporter=given["exporter"],
        exporter_config=given["exporter_config"],
    )
    if choice in ("--exporter", "--exporter-config"):
        if client is not None:
            raise click.UsageError(f"'{client}@' names a client, and {choice} an exporter")
        alias = given["exporter"] or given["name"] or "default"
        return exporter_file(alias, given["exporter_config"]), server
    alias = given["client"] or client or given["name"] or given["username"]
    if alias is None and given["client_config"] is None and server is None:
        current = current_client()
        alias = None if current is None else current.alias
    return client_file(alias or "default", given["client_config"]), server


def _endpoint(given: LoginOptions, site: Site, file: LoginFile) -> str:
    before = None if file.before is None else file.before.endpoint
    endpoint = given["endpoint"] or site.endpoint or before
    if not endpoint and not given["nointeractive"]:
        endpoint = ask("Controller, host:port")
    if not endpoint:
        raise click.UsageError("say where the lab is: [CLIENT@]ENDPOINT, or --endpoint HOST:PORT")
    return endpoint


def _tokens(given: LoginOptions, site: Site, file: LoginFile) -> Tokens:
    issuer = given["issuer"] or site.issuer or _issuer_before(file)
    token = given["token"]
    if issuer is None:
        token = token or _asked_token(given)
    if token is not None and (issuer is None or _is_internal(token)):
        return Tokens(token)
    provider = discover(
        str(issuer),
        given["client_id"] or site.client_id or CLIENT_ID,
        offline_access=given["offline_access"],
        insecure=given["insecure_tls"],
    )
    return _from_provider(given, provider, token)


def _from_provider(given: LoginOptions, provider: Provider, token: str | None) -> Tokens:
    if token is not None:
        return provider.exchange(token, given["connector_id"])
    if given["username"] is not None:
        password = given["password"]
        if password is None and not given["nointeractive"]:
            password = ask("Password", hidden=True)
        if not password:
            raise click.UsageError("--username needs --password")
        return provider.password(given["username"], password)
    if given["device_flow"] or env.flag(os.environ, env.JMP_OIDC_DEVICE_FLOW):
        device = provider.device_code()
        click.echo(f"Open {device.uri} and enter {device.user_code}", err=True)
        return provider.wait_for_device(device, time.sleep)  # noqa: TID251 - it cannot tell us
    return browser_login(provider, _callback_port(given), _show)


def _show(url: str) -> None:
    click.echo(f"Log in with a browser: {url}", err=True)


def _callback_port(given: LoginOptions) -> int:
    typed = given["callback_port"]
    if typed is not None:
        return typed
    text = env.text(os.environ, env.JMP_OIDC_CALLBACK_PORT) or "0"
    if not (text.isascii() and text.isdecimal() and int(text) <= _MAX_PORT):
        raise click.UsageError(f"{env.JMP_OIDC_CALLBACK_PORT}: '{text}' is no port")
    return int(text)


def _asked_token(given: LoginOptions) -> str:
    token = "" if given["nointeractive"] else ask("Token", hidden=True)
    if not token:
        raise click.UsageError("no identity provider is known: give --issuer URL, or --token TOKEN")
    return token


def _issuer_before(file: LoginFile) -> str | None:
    if file.before is None or not file.before.token:
        return None
    try:
        issuer = read_claims(file.before.token).issuer
    except NoTokenError:
        return None
    return None if issuer == INTERNAL_ISSUER else issuer


def _is_internal(token: str) -> bool:
    try:
        return read_claims(token).issuer == INTERNAL_ISSUER
    except NoTokenError:
        return False


def _granted(
    given: LoginOptions, site: Site, file: LoginFile, endpoint: str, tokens: Tokens
) -> Granted:
    namespace, name = _who(given, site, file, tokens.access)
    before = file.before
    ca = site.ca or (before.tls.ca if before is not None else "")
    return Granted(
        namespace=namespace,
        name=name,
        endpoint=endpoint,
        # Who has the certificate authority of the lab need not go without verification.
        tls=TLSConfigV1Alpha1(ca=ca, insecure=given["insecure_tls"] and not ca),
        token=tokens.access,
        refresh_token=tokens.refresh,
        drivers=_drivers(given, file),
    )


def _who(given: LoginOptions, site: Site, file: LoginFile, token: str) -> tuple[str, str]:
    """Return namespace and name: as typed, as before, as the token says, or as answered."""
    before = None if file.before is None else file.before.metadata
    own_namespace, own_name = _subject(token)
    typed_client, _ = split_target(given["target"])
    namespace = given["namespace"] or site.namespace or own_namespace
    namespace = namespace or (before and before.namespace)
    name = given["name"] if given["name"] is not None else own_name or typed_client
    if name is None and before is not None:
        name = before.name
    if not given["nointeractive"]:
        namespace = namespace or ask("Namespace", "default")
        name = ask("Name", file.alias) if name is None else name
    return namespace or "default", file.alias if name is None else name


def _subject(token: str) -> tuple[str | None, str | None]:
    """Return the namespace and name in the subject of a token that a controller has made."""
    if not _is_internal(token):
        return None, None
    match (read_claims(token).subject or "").split(":"):
        case [_, namespace, name, _]:
            return namespace, name
        case _:
            return None, None


def _drivers(given: LoginOptions, file: LoginFile) -> ClientConfigV1Alpha1Drivers | None:
    """Return which driver clients to allow, or None to leave it as it is."""
    allow = listed(given["allow"])
    if allow or given["unsafe"]:
        return ClientConfigV1Alpha1Drivers(allow=allow, unsafe=given["unsafe"])
    if file.is_exporter or file.client is not None or given["nointeractive"]:
        return None
    return ClientConfigV1Alpha1Drivers(allow=listed([ask_drivers()]))
