"""`jmp shell`: which of its two ways the options mean."""

import os
from pathlib import Path
from typing import TypedDict, Unpack

import click

from jumpstarter_cli.addresses import parse_address
from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.exporter_files import chosen_file
from jumpstarter_cli.passphrases import chosen_passphrase
from jumpstarter_cli.reach import put_j_on_path


class ShellOptions(TypedDict):
    """What was typed."""

    exporter: str | None
    exporter_config: Path | None
    tls_grpc: str | None
    tls_grpc_insecure: bool
    passphrase: str | None
    passphrase_file: Path | None
    command: tuple[str, ...]


def shell(**given: Unpack[ShellOptions]) -> int:
    """Open a shell, or run a command, and return its exit code.

    Raises UsageError for options that do not go together.
    """
    put_j_on_path(os.environ)
    file = chosen_file(given["exporter"], given["exporter_config"])
    if given["tls_grpc"] is not None:
        if file is not None:
            raise click.UsageError("--tls-grpc excludes --exporter and --exporter-config")
        return _direct(given["tls_grpc"], given)
    for option in ("tls_grpc_insecure", "passphrase", "passphrase_file"):
        if given[option]:
            raise click.UsageError(f"--{option.replace('_', '-')} needs --tls-grpc")
    if file is None:
        raise click.UsageError(
            "say which exporter: --exporter-config FILE, --exporter ALIAS or --tls-grpc HOST:PORT"
        )
    return deferred("actions.local_shell:local_shell")(file, given["command"])


def _direct(target: str, given: ShellOptions) -> int:
    address = parse_address(target, "--tls-grpc")
    secret = chosen_passphrase(given["passphrase"], given["passphrase_file"], os.environ)
    return deferred("actions.direct_shell:direct_shell")(
        address, given["command"], insecure=given["tls_grpc_insecure"], passphrase=secret
    )
