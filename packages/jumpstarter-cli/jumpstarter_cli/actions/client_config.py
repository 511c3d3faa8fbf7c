"""`jmp config client`: makes, chooses, lists and deletes client files."""

import json
import os
from pathlib import Path
from typing import TypedDict, Unpack

import click
from jumpstarter.config import env
from jumpstarter.config.client import (
    ClientConfigV1Alpha1,
    ClientConfigV1Alpha1Drivers,
    ObjectMeta,
    UserConfigV1Alpha1,
)
from jumpstarter.config.tls import TLSConfigV1Alpha1

from jumpstarter_cli.output import NOTHING, print_data, print_lines, print_table
from jumpstarter_cli.questions import ask, ask_drivers, confirm_insecure
from jumpstarter_cli.saving import make_current, refuse_to_replace, save_client
from jumpstarter_cli.words import listed


class CreateOptions(TypedDict):
    """What was typed."""

    alias: str
    out: Path | None
    namespace: str | None
    name: str | None
    endpoint: str | None
    token: str | None
    allow: tuple[str, ...]
    unsafe: bool
    insecure_tls: bool
    nointeractive: bool
    output: str | None


def create(**given: Unpack[CreateOptions]) -> int:
    """Write a client file, and say where it is; the first one becomes the current client.

    Raises ConfigurationError when there is such a file already, UsageError for what is missing.
    """
    alias = given["alias"]
    refuse_to_replace(alias, given["out"])
    path = save_client(_answered(given), given["out"])
    click.echo(path if given["output"] == "path" else f"client '{alias}' created in {path}")
    return 0


def delete(alias: str, output: str | None) -> int:
    """Delete a client file; when it was that of the current client, there is none from then on.

    Raises FileNotFoundError when there is no such file.
    """
    path = ClientConfigV1Alpha1.delete(alias)
    if UserConfigV1Alpha1.exists():
        user = UserConfigV1Alpha1.load()
        if user.config.current_client is None:
            user.use_client(None)
    click.echo(path if output == "path" else f"client '{alias}' deleted from {path}")
    return 0


def use(alias: str, output: str | None) -> int:
    """Make a client the current one; raises FileNotFoundError when it has no file."""
    path = make_current(alias)
    click.echo(path if output == "path" else f"client '{alias}' is the current one now")
    return 0


def show_all(output: str | None) -> int:
    """List the clients, without their tokens; raises ConfigurationError when a file is wrong."""
    found = ClientConfigV1Alpha1.list()
    match output:
        case "name":
            print_lines([item.alias for item in found.items])
        case None:
            rows = [
                (
                    "*" if item.alias == found.current_config else "",
                    item.alias,
                    item.endpoint or "",
                    str(item.path),
                )
                for item in found.items
            ]
            print_table(("CURRENT", "ALIAS", "ENDPOINT", "PATH"), rows, empty=NOTHING)
        case form:
            print_data(json.loads(found.dump_json()), form)
    return 0


def _answered(given: CreateOptions) -> ClientConfigV1Alpha1:
    """Return the configuration that the options and the answers to our questions make."""
    ask_for = not given["nointeractive"]
    namespace = given["namespace"] or env.text(os.environ, env.JMP_NAMESPACE) or "default"
    name = given["name"] or env.text(os.environ, env.JMP_NAME) or given["alias"]
    if ask_for and given["namespace"] is None:
        namespace = ask("Namespace", namespace)
    if ask_for and given["name"] is None:
        name = ask("Name", name)
    endpoint, token = _access(given)
    allow = listed(given["allow"])
    if ask_for and not given["allow"] and not given["unsafe"]:
        allow = listed([ask_drivers()])
    confirm_insecure(insecure=given["insecure_tls"], nointeractive=given["nointeractive"])
    return ClientConfigV1Alpha1(
        alias=given["alias"],
        metadata=ObjectMeta(namespace=namespace, name=name),
        endpoint=endpoint,
        token=token,
        refresh_token=None,
        tls=TLSConfigV1Alpha1(insecure=given["insecure_tls"]),
        drivers=ClientConfigV1Alpha1Drivers(allow=allow, unsafe=given["unsafe"]),
    )


def _access(given: CreateOptions) -> tuple[str, str]:
    endpoint = given["endpoint"] or env.text(os.environ, env.JMP_ENDPOINT) or ""
    token = given["token"] or env.text(os.environ, env.JMP_TOKEN) or ""
    if not given["nointeractive"]:
        endpoint = endpoint or ask("Controller, host:port")
        token = token or ask("Token", hidden=True)
    for option, value in {"--endpoint": endpoint, "--token": token}.items():
        if not value:
            raise click.UsageError(f"a client needs {option}; `jmp login` finds it out by itself")
    return endpoint, token
