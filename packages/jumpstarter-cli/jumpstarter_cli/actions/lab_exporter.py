"""`jmp lab add-exporter`: an exporter, and its credentials in the file of its drivers, in one step.

The file is checked before anything is made; and when it cannot be written in the end, what was made
is removed.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

import click
from jumpstarter.client.administration import Administration, exporter_config
from jumpstarter.config.admin import AdminConfig
from jumpstarter.config.check import check_exporter_text
from jumpstarter.config.documents import Document
from jumpstarter.config.exporter import ExporterConfigV1Alpha1, ignored_keys
from jumpstarter.config.files import read_text, write_text
from jumpstarter.config.loading import read_document
from jumpstarter.config.problems import as_mapping, failure
from jumpstarter.model.errors import ConfigurationError

from jumpstarter_cli.actions.admin import AdminOptions, admin_config, administer, only
from jumpstarter_cli.actions.lab_document import with_sections
from jumpstarter_cli.words import paired

SECTIONS = ("metadata", "endpoint", "tls", "token")
"""The keys of the file that are the controller's to say."""


class AddOptions(AdminOptions):
    """What was typed."""

    file: Path
    name: str | None
    labels: tuple[str, ...]
    force: bool
    output: str | None


def add(**given: Unpack[AddOptions]) -> int:
    """Make the exporter, and fill its file; raises as `administer`.

    Raises ConfigurationError when the file is wrong, has a token already or cannot be written; then
    nothing is made.
    """
    path, labels = given["file"], paired(given["labels"], "--label")
    admin = admin_config(only(given))
    text, content = _checked(path)
    if content.get("token") and not given["force"]:
        raise ConfigurationError(
            f"'{path}' has a token already: it is an exporter's; --force replaces it"
        )
    name = given["name"] or _name_of(content, path)

    async def work(lab: Administration) -> bool:
        known = given["force"] and await _is_known(lab, name)
        config = await (_again if known else _new)(lab, name, labels)
        try:
            write_text(path, with_sections(text, sections_of(config)))
        except ConfigurationError:
            if not known:
                await lab.delete_exporter(name)
            raise
        return known

    known = administer(only(given), work)
    _tell(path, name, admin, given, known=known)
    return 0


def sections_of(config: ExporterConfigV1Alpha1) -> dict[str, object]:
    """Return what the file of this exporter says of itself and its controller."""
    data = config.model_dump(mode="json", by_alias=True)
    return {key: data[key] for key in SECTIONS}


def _checked(path: Path) -> tuple[str, Mapping[str, object]]:
    """Return the text of the file, and what it says; raises ConfigurationError for a wrong one."""
    text = read_text(path)
    document = read_document(path)
    problems = [
        problem
        for problem in check_exporter_text(text)
        if problem.where.partition(".")[0] not in SECTIONS and problem not in _ignored(document)
    ]
    if problems:
        raise failure(problems, path, f"`jmp exporter check {path}`")
    content = as_mapping(document.value) or {}
    if not content.get("export"):
        raise ConfigurationError(f"{path}: export is missing; describe the drivers there")
    if not os.access(path.resolve().parent, os.W_OK):
        raise ConfigurationError(f"cannot write '{path}': its directory is not writable")
    return text, content


def _ignored(document: Document) -> list[object]:
    return list(ignored_keys(document))


def _name_of(content: Mapping[str, object], path: Path) -> str:
    name = (as_mapping(content.get("metadata")) or {}).get("name")
    return name if isinstance(name, str) and name else path.name.split(".")[0]


async def _is_known(lab: Administration, name: str) -> bool:
    return any(item.name == name for item in await lab.list_exporters())


async def _new(lab: Administration, name: str, labels: dict[str, str]) -> ExporterConfigV1Alpha1:
    return await lab.create_exporter(name, labels)


async def _again(lab: Administration, name: str, labels: dict[str, str]) -> ExporterConfigV1Alpha1:
    if labels:
        before = await lab.get_exporter(name)
        await lab.update_exporter(name, before.labels | labels)
    return exporter_config(await lab.fetch_credential("exporters", name))


def _tell(path: Path, name: str, admin: AdminConfig, given: AddOptions, *, known: bool) -> None:
    if given["output"] == "name":
        click.echo(name)
        return
    done = "has a new token" if known else "created"
    click.echo(f"exporter '{name}' {done} at {admin.endpoint}; its credentials are in {path}")
    click.echo(f"Run it with: jmp run --exporter-config {path}")
