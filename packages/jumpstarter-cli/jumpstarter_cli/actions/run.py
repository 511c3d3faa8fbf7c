"""`jmp run`: where the exporter is to listen, and how that is protected."""

import os
from pathlib import Path
from typing import TypedDict, Unpack

import click

from jumpstarter_cli.addresses import parse_address
from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.exporter_files import chosen_file
from jumpstarter_cli.listener import Certificate, Listener
from jumpstarter_cli.logs import LogChoice, log_to_service
from jumpstarter_cli.passphrases import chosen_passphrase
from jumpstarter_cli.reach import put_j_on_path

LOOPBACK = "127.0.0.1"
"""Where an exporter listens that was given a port alone."""


class RunOptions(TypedDict):
    """What was typed."""

    exporter: str | None
    exporter_config: Path | None
    tls_grpc_listener: str | None
    tls_grpc_insecure: bool
    tls_cert: Path | None
    tls_key: Path | None
    passphrase: str | None
    passphrase_file: Path | None


def run(*, log: LogChoice, **given: Unpack[RunOptions]) -> int:
    """Serve the exporter until a signal, and return the exit code.

    Raises UsageError for options that do not go together.
    """
    file = chosen_file(given["exporter"], given["exporter_config"])
    if file is None:
        raise click.UsageError("say which exporter: --exporter-config FILE or --exporter ALIAS")
    if given["tls_grpc_listener"] is None:
        raise click.UsageError("say where to listen: --tls-grpc-listener [HOST:]PORT")
    listener = Listener(
        parse_address(given["tls_grpc_listener"], "--tls-grpc-listener", default_host=LOOPBACK),
        _certificate(given["tls_cert"], given["tls_key"], insecure=given["tls_grpc_insecure"]),
        chosen_passphrase(given["passphrase"], given["passphrase_file"], os.environ),
    )
    put_j_on_path(os.environ)
    log_to_service(log)
    return deferred("actions.serving:serve")(file, listener)


def _certificate(chain: Path | None, key: Path | None, *, insecure: bool) -> Certificate | None:
    if insecure and (chain is not None or key is not None):
        raise click.UsageError("--tls-grpc-insecure excludes --tls-cert and --tls-key")
    if insecure:
        return None
    if chain is None or key is None:
        raise click.UsageError(
            "--tls-grpc-listener needs --tls-cert and --tls-key, or --tls-grpc-insecure"
        )
    return Certificate(chain, key)
