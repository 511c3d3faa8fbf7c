"""`jmp admin update`, `jmp admin delete client` and `exporter`, and `jmp admin release`."""

from typing import Any, Unpack

import click
from jumpstarter.client.administration import Administration

from jumpstarter_cli.actions.admin import AdminOptions, admin_config, administer, only
from jumpstarter_cli.actions.admin_files import found, is_of, remove
from jumpstarter_cli.actions.admin_records import (
    changed_labels,
    client_data,
    exporter_data,
    full_name,
)
from jumpstarter_cli.output import print_data
from jumpstarter_cli.words import listed, paired


class NameOptions(AdminOptions):
    """What was typed."""

    name: str
    output: str | None


class UpdateOptions(NameOptions):
    """What was typed about labels."""

    labels: tuple[str, ...]
    removed: tuple[str, ...]


class UpdateExporterOptions(UpdateOptions):
    """What was typed about an exporter."""

    enabled: bool | None


class DeleteOptions(NameOptions):
    """What was typed about something that is to be removed."""

    also_file: bool
    nointeractive: bool


def update_client(**given: Unpack[UpdateOptions]) -> int:
    """Change the labels of a client; raises UsageError without any, and as `administer`."""
    changed, removed = paired(given["labels"], "--label"), listed(given["removed"])
    if not changed and not removed:
        raise click.UsageError("say what to change: --label or --remove-label")

    async def work(lab: Administration) -> dict[str, Any]:
        before = await lab.get_client(given["name"])
        labels = changed_labels(before.labels, changed, removed)
        record = await lab.update_client(given["name"], labels)
        return client_data(record, lab.config.endpoint)

    return _told("client", administer(only(given), work), given)


def update_exporter(**given: Unpack[UpdateExporterOptions]) -> int:
    """Change an exporter; raises UsageError without anything to change, and as `administer`."""
    changed, removed = paired(given["labels"], "--label"), listed(given["removed"])
    if not changed and not removed and given["enabled"] is None:
        raise click.UsageError("say what to change: --label, --remove-label, --enable or --disable")

    async def work(lab: Administration) -> dict[str, Any]:
        labels = None
        if changed or removed:
            before = await lab.get_exporter(given["name"])
            labels = changed_labels(before.labels, changed, removed)
        record = await lab.update_exporter(given["name"], labels, enabled=given["enabled"])
        return exporter_data(record, lab.config.endpoint)

    return _told("exporter", administer(only(given), work), given)


def delete_client(**given: Unpack[DeleteOptions]) -> int:
    """Remove a client, and its file here where that is wanted; raises as `administer`."""
    return _delete("client", given)


def delete_exporter(**given: Unpack[DeleteOptions]) -> int:
    """Remove an exporter, and its file here where that is wanted; raises as `administer`."""
    return _delete("exporter", given)


def release_lease(**given: Unpack[NameOptions]) -> int:
    """End anybody's lease; raises as `administer`."""

    async def work(lab: Administration) -> None:
        await lab.release_lease(given["name"])

    administer(only(given), work)
    name = full_name("lease", given["name"])
    click.echo(name if given["output"] == "name" else f"{name} released")
    return 0


def _delete(kind: str, given: DeleteOptions) -> int:
    name = given["name"]
    file = found(kind, name)
    own = file is not None and is_of(file, name, admin_config(only(given)).namespace)
    also_file = given["also_file"]
    if own and not also_file and not given["nointeractive"]:
        also_file = click.confirm(f"Delete the file of the {kind} on this machine too?", err=True)

    async def work(lab: Administration) -> None:
        await (lab.delete_client(name) if kind == "client" else lab.delete_exporter(name))

    administer(only(given), work)
    path = remove(kind, name) if own and also_file else None
    if given["output"] == "name":
        click.echo(full_name(kind, name))
        return 0
    click.echo(f"{full_name(kind, name)} deleted")
    if path is not None:
        click.echo(f"{kind.capitalize()} configuration '{path}' deleted")
    elif also_file and file is not None:
        click.echo(f"'{file.path}' is the file of another {kind}: it stays", err=True)
    return 0


def _told(kind: str, data: dict[str, Any], given: NameOptions) -> int:
    name = full_name(kind, given["name"])
    match given["output"]:
        case None:
            click.echo(f"{name} updated")
        case "name":
            click.echo(name)
        case form:
            print_data(data, form)
    return 0
