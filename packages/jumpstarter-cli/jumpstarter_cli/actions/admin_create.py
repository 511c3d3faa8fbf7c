"""`jmp admin create` and `jmp admin import`: clients and exporters, and their files.

Whatever is asked, or can be refused without the controller, comes first: nothing is made that the
one who typed the command would not get the credentials of.
"""

from pathlib import Path
from typing import Any, TypedDict, Unpack

import click
from jumpstarter.client.administration import Administration, client_config, exporter_config
from jumpstarter.config.client import ClientConfigV1Alpha1, ClientConfigV1Alpha1Drivers

from jumpstarter_cli.actions.admin import AdminOptions, admin_config, administer, only
from jumpstarter_cli.actions.admin_files import Config, refuse_existing, write
from jumpstarter_cli.actions.admin_records import client_data, exporter_data, full_name
from jumpstarter_cli.output import print_data
from jumpstarter_cli.questions import ask_drivers, confirm_insecure
from jumpstarter_cli.words import listed, paired


class FileOptions(AdminOptions):
    """What was typed about a file."""

    name: str
    out: Path | None
    insecure_tls: bool
    nointeractive: bool
    output: str | None


class CreateOptions(FileOptions):
    """What was typed about something that is to be made."""

    labels: tuple[str, ...]
    oidc_username: str | None
    save: bool


class AllowOptions(TypedDict):
    """Which driver clients a client may load."""

    allow: tuple[str, ...]
    unsafe: bool


class CreateClientOptions(CreateOptions, AllowOptions):
    """What was typed about a client that is to be made."""


class ImportOptions(FileOptions):
    """What was typed about a file that is to be written."""

    force: bool


class ImportClientOptions(ImportOptions, AllowOptions):
    """What was typed about a client's file that is to be written."""


def create_client(**given: Unpack[CreateClientOptions]) -> int:
    """Make a client; raises as `administer`, and UsageError or Abort before anything is made."""
    labels = paired(given["labels"], "--label")
    saving = _is_saving("client", given)
    drivers = _drivers(given, ask_for=saving and not given["nointeractive"])

    async def work(lab: Administration) -> tuple[ClientConfigV1Alpha1, dict[str, Any]]:
        config = await lab.create_client(given["name"], labels, given["oidc_username"])
        record = await lab.get_client(given["name"])
        return config, client_data(record, config.endpoint or "")

    config, data = administer(only(given), work)
    config.drivers = drivers
    return _made("client", config, data, given, saving=saving)


def create_exporter(**given: Unpack[CreateOptions]) -> int:
    """Make an exporter; raises as `administer`, and UsageError or Abort before anything is made."""
    labels = paired(given["labels"], "--label")
    if not labels:
        raise click.UsageError("an exporter needs a label to be selected by: --label KEY=VALUE")
    saving = _is_saving("exporter", given)

    async def work(lab: Administration) -> tuple[Config, dict[str, Any]]:
        config = await lab.create_exporter(given["name"], labels, given["oidc_username"])
        record = await lab.get_exporter(given["name"])
        return config, exporter_data(record, config.endpoint or "")

    config, data = administer(only(given), work)
    return _made("exporter", config, data, given, saving=saving)


def import_client(**given: Unpack[ImportClientOptions]) -> int:
    """Write the file of a client; raises as `administer`."""
    _prepare_import("client", given)
    drivers = _drivers(given, ask_for=not given["nointeractive"])

    async def work(lab: Administration) -> ClientConfigV1Alpha1:
        return client_config(await lab.fetch_credential("clients", given["name"]))

    config = administer(only(given), work)
    config.drivers = drivers
    return _imported("client", config, given)


def import_exporter(**given: Unpack[ImportOptions]) -> int:
    """Write the file of an exporter; raises as `administer`."""
    _prepare_import("exporter", given)

    async def work(lab: Administration) -> Config:
        return exporter_config(await lab.fetch_credential("exporters", given["name"]))

    return _imported("exporter", administer(only(given), work), given)


def _is_saving(kind: str, given: CreateOptions) -> bool:
    """Return whether a file is to be written, which nothing is in the way of then."""
    admin_config(only(given))
    saving = given["save"] or given["out"] is not None
    if not saving and not given["nointeractive"]:
        saving = click.confirm(f"Write the file of the {kind} too?", err=True)
    if saving:
        refuse_existing(kind, given["name"], given["out"])
    confirm_insecure(insecure=given["insecure_tls"], nointeractive=given["nointeractive"])
    return saving


def _prepare_import(kind: str, given: ImportOptions) -> None:
    admin_config(only(given))
    if not given["force"]:
        refuse_existing(kind, given["name"], given["out"])
    confirm_insecure(insecure=given["insecure_tls"], nointeractive=given["nointeractive"])


def _drivers(given: AllowOptions, *, ask_for: bool) -> ClientConfigV1Alpha1Drivers:
    allow = listed(given["allow"])
    if ask_for and not allow and not given["unsafe"]:
        allow = listed([ask_drivers()])
    return ClientConfigV1Alpha1Drivers(allow=allow, unsafe=given["unsafe"])


def _made(
    kind: str, config: Config, data: dict[str, Any], given: CreateOptions, *, saving: bool
) -> int:
    """Write the file if that is wanted, and tell what was made."""
    path = _written(config, given) if saving else None
    name = full_name(kind, given["name"])
    match given["output"]:
        case None:
            click.echo(f"{name} created")
            if path is not None:
                click.echo(f"{kind.capitalize()} configuration saved to {path}")
        case "name":
            click.echo(name)
        case form:
            print_data(data, form)
    return 0


def _imported(kind: str, config: Config, given: ImportOptions) -> int:
    path = _written(config, given)
    told = f"{kind.capitalize()} configuration saved to {path}"
    click.echo(path if given["output"] == "path" else told)
    return 0


def _written(config: Config, given: FileOptions) -> Path:
    config.tls = config.tls.model_copy(update={"insecure": given["insecure_tls"]})
    return write(config, given["out"])
