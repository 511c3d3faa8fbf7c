"""`jmp config exporter`: makes, opens, lists and deletes exporter files."""

import json
import os
from pathlib import Path
from typing import TypedDict, Unpack

import click
from jumpstarter.config import env
from jumpstarter.config.exporter import ExporterConfigV1Alpha1, ObjectMeta
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.model.errors import ConfigurationError

from jumpstarter_cli.actions.exporter import report_problems
from jumpstarter_cli.exporter_files import exporter_paths
from jumpstarter_cli.output import NOTHING, print_data, print_lines, print_table
from jumpstarter_cli.questions import ask, confirm_insecure


class CreateOptions(TypedDict):
    """What was typed."""

    alias: str
    namespace: str | None
    name: str | None
    endpoint: str | None
    token: str | None
    insecure_tls: bool
    nointeractive: bool
    output: str | None


def create(**given: Unpack[CreateOptions]) -> int:
    """Write a file without drivers, and say where it is.

    Raises ConfigurationError when the alias has a file already, or can have none.
    """
    alias = given["alias"]
    if ExporterConfigV1Alpha1.user_config_exists(alias):
        path = ExporterConfigV1Alpha1.resolve_path(alias)
        message = (
            f"exporter '{alias}' exists: open '{path}' with `jmp config exporter edit {alias}`"
        )
        raise ConfigurationError(message)
    path = ExporterConfigV1Alpha1.save(_answered(given))
    _tell(given["output"], alias, path, f"exporter '{alias}' created in {path}")
    return 0


def edit(alias: str) -> int:
    """Open the file in $EDITOR; return 1 when something is wrong in it afterwards.

    Raises FileNotFoundError when the alias has none, ConfigurationError when it is the system's.
    """
    if not ExporterConfigV1Alpha1.user_config_exists(alias):
        ExporterConfigV1Alpha1.load(alias)
        message = f"exporter '{alias}' belongs to the system: edit {_path(alias)} yourself"
        raise ConfigurationError(message)
    path = _path(alias)
    click.edit(filename=str(path))
    return report_problems(path)


def show_all(output: str | None) -> int:
    """List the files: what they say as JSON or YAML, otherwise their aliases and paths.

    Raises ConfigurationError when what a file says is asked for, and it is wrong.
    """
    if output in ("json", "yaml"):
        print_data(json.loads(ExporterConfigV1Alpha1.list().dump_json()), output)
        return 0
    paths = exporter_paths()
    if output is None:
        rows = [(alias, str(path)) for alias, path in paths.items()]
        print_table(("ALIAS", "PATH"), rows, empty=NOTHING)
    else:
        print_lines(list(paths if output == "name" else paths.values()))
    return 0


def delete(alias: str, output: str | None) -> int:
    """Delete the file of the user.

    Raises FileNotFoundError when there is none, ConfigurationError when it is the system's.
    """
    path = ExporterConfigV1Alpha1.delete(alias)
    _tell(output, alias, path, f"exporter '{alias}' deleted from {path}")
    return 0


def _answered(given: CreateOptions) -> ExporterConfigV1Alpha1:
    """Return the configuration that the options and the answers to our questions make."""
    ask_for = not given["nointeractive"]
    namespace = given["namespace"] or env.text(os.environ, env.JMP_NAMESPACE) or "default"
    name = given["name"] or env.text(os.environ, env.JMP_NAME) or given["alias"]
    endpoint, token = given["endpoint"] or "", given["token"] or ""
    if ask_for and given["namespace"] is None:
        namespace = ask("Namespace", namespace)
    if ask_for and given["name"] is None:
        name = ask("Name", name)
    if ask_for and given["endpoint"] is None:
        endpoint = ask("Controller, host:port, or nothing without a lab")
    if ask_for and given["token"] is None and endpoint:
        token = ask("Token", hidden=True)
    confirm_insecure(insecure=given["insecure_tls"], nointeractive=given["nointeractive"])
    return ExporterConfigV1Alpha1(
        alias=given["alias"],
        metadata=ObjectMeta(namespace=namespace, name=name),
        endpoint=endpoint or None,
        token=token or None,
        tls=TLSConfigV1Alpha1(insecure=given["insecure_tls"]),
    )


def _tell(output: str | None, alias: str, path: Path, sentence: str) -> None:
    match output:
        case "path":
            click.echo(path)
        case "name":
            click.echo(alias)
        case _:
            click.echo(sentence)


def _path(alias: str) -> Path:
    return ExporterConfigV1Alpha1.resolve_path(alias)
