"""`jmp admin rotate`: tokens in the place of all that there were."""

from pathlib import Path
from typing import Unpack

import click
from jumpstarter.client.administered import Credential
from jumpstarter.client.administration import Administration, client_config, exporter_config
from jumpstarter.config.admin import AdminConfig
from jumpstarter.model.errors import ConfigurationError

from jumpstarter_cli.actions.admin import AdminOptions, admin_config, administer, only
from jumpstarter_cli.actions.admin_files import Config, found, is_of, renewed, write
from jumpstarter_cli.actions.admin_records import full_name


class RotateOptions(AdminOptions):
    """What was typed."""

    name: str
    save: bool
    out: Path | None
    output: str | None


def client(**given: Unpack[RotateOptions]) -> int:
    """Make a new token for a client; raises as `administer`."""
    return _rotate("client", given)


def exporter(**given: Unpack[RotateOptions]) -> int:
    """Make a new token for an exporter; raises as `administer`."""
    return _rotate("exporter", given)


def admin(**given: Unpack[AdminOptions]) -> int:
    """Make a new token for the administrator, and write it where the old one was read."""
    config = admin_config(given)

    async def work(lab: Administration) -> Credential:
        return await lab.rotate("admins", config.metadata.name)

    credential = administer(given, work)
    path = AdminConfig.save(config.model_copy(update={"token": credential.token}), config.path)
    click.echo(f"Token rotated: '{path}' updated with new token")
    return 0


def _rotate(kind: str, given: RotateOptions) -> int:
    name = given["name"]
    saving = given["save"] or given["out"] is not None
    file = found(kind, name, given["out"]) if saving else None
    if file is not None and not is_of(file, name, admin_config(only(given)).namespace):
        raise ConfigurationError(
            f"'{file.path}' is the file of another {kind}; write the token elsewhere with --out"
        )

    async def work(lab: Administration) -> Credential:
        return await lab.rotate("clients" if kind == "client" else "exporters", name)

    credential = administer(only(given), work)
    path = write(_with_token(kind, file, credential), given["out"]) if saving else None
    if given["output"] == "name":
        click.echo(full_name(kind, name))
        return 0
    click.echo(f"Token rotated for {full_name(kind, name)}")
    if path is None:
        click.echo(f"`jmp admin import {kind} {name} --force` writes it to a file", err=True)
    else:
        click.echo(f"{kind.capitalize()} configuration '{path}' updated with new token")
    return 0


def _with_token(kind: str, file: Config | None, credential: Credential) -> Config:
    if file is not None:
        return renewed(file, credential)
    return (client_config if kind == "client" else exporter_config)(credential)
