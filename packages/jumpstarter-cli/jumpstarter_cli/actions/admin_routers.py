"""`jmp admin create router`, `get router` and `delete router`."""

from pathlib import Path
from typing import Unpack

import click
from jumpstarter.client.administered import Credential
from jumpstarter.client.administration import Administration
from jumpstarter.config.files import write_text
from jumpstarter.model.errors import ConfigurationError, ConnectionError  # noqa: A004 - public name

from jumpstarter_cli.actions.admin import AdminOptions, admin_config, administer, only
from jumpstarter_cli.actions.admin_change import NameOptions
from jumpstarter_cli.actions.admin_records import ROUTER_COLUMNS, full_name, router_row
from jumpstarter_cli.output import print_data, print_lines, print_table


class CreateOptions(AdminOptions):
    """What was typed."""

    name: str
    out: Path
    output: str | None


class GetOptions(AdminOptions):
    """What was typed."""

    name: str | None
    output: str | None


def create(**given: Unpack[CreateOptions]) -> int:
    """Admit a router, and write its token with mode 0600; raises as `administer`.

    Raises ConfigurationError when the file exists, or cannot be written; then nothing is made.
    """
    name, out = given["name"], given["out"]
    if out.exists():
        raise ConfigurationError(f"'{out}' exists; choose another file, or remove it")
    # What cannot be written is found out before there is a token that nobody has.
    write_text(out, "")

    async def work(lab: Administration) -> Credential:
        return await lab.create_router(name)

    try:
        credential = administer(only(given), work)
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    write_text(out, f"{credential.token}\n")
    if given["output"] == "name":
        click.echo(full_name("router", name))
        return 0
    click.echo(f"{full_name('router', name)} created; its token is in {out}")
    click.echo(f"It registers with --controller {credential.endpoint} --token-file {out}")
    return 0


def show(**given: Unpack[GetOptions]) -> int:
    """Show one router, or all; raises as `administer`."""
    found = administer(only(given), Administration.list_routers)
    name = given["name"]
    if name is not None:
        found = [router for router in found if router.name == name]
        if not found:
            raise ConnectionError(f"Error from server (NotFound): router {name} not found")
    match given["output"]:
        case None:
            empty = f"No resources found in {admin_config(only(given)).namespace} namespace."
            print_table(ROUTER_COLUMNS, [router_row(item) for item in found], empty=empty)
        case "name":
            print_lines([full_name("router", item.name) for item in found])
        case form:
            data = [item.model_dump(mode="json") for item in found]
            print_data({"items": data} if name is None else data[0], form)
    return 0


def delete(**given: Unpack[NameOptions]) -> int:
    """Remove a router; raises as `administer`."""

    async def work(lab: Administration) -> None:
        await lab.delete_router(given["name"])

    administer(only(given), work)
    name = full_name("router", given["name"])
    click.echo(name if given["output"] == "name" else f"{name} deleted")
    return 0
