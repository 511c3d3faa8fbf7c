"""`jmp run`: for a controller, or where the exporter is to listen and how that is protected."""

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
    exit_on_lease_end: bool


def run(*, log: LogChoice, **given: Unpack[RunOptions]) -> int:
    """Serve the exporter until a signal, and return the exit code.

    Raises UsageError for options that do not go together.
    """
    file = chosen_file(given["exporter"], given["exporter_config"])
    if file is None:
        raise click.UsageError("say which exporter: --exporter-config FILE or --exporter ALIAS")
    listener = _listener(given)
    put_j_on_path(os.environ)
    log_to_service(log)
    ends = given["exit_on_lease_end"]
    if listener is None:
        return deferred("actions.leasing:serve_leases")(file, exit_on_lease_end=ends)
    return deferred("actions.serving:serve")(file, listener, exit_on_lease_end=ends)


def _listener(given: RunOptions) -> Listener | None:
    where = given["tls_grpc_listener"]
    if where is None:
        _refuse_without_listener(given)
        return None
    return Listener(
        parse_address(where, "--tls-grpc-listener", default_host=LOOPBACK),
        _certificate(given["tls_cert"], given["tls_key"], insecure=given["tls_grpc_insecure"]),
        chosen_passphrase(given["passphrase"], given["passphrase_file"], os.environ),
    )


def _refuse_without_listener(given: RunOptions) -> None:
    options = {
        "--tls-grpc-insecure": given["tls_grpc_insecure"],
        "--tls-cert": given["tls_cert"] is not None,
        "--tls-key": given["tls_key"] is not None,
        "--passphrase": given["passphrase"] is not None,
        "--passphrase-file": given["passphrase_file"] is not None,
    }
    for option, is_given in options.items():
        if is_given:
            raise click.UsageError(f"{option} needs --tls-grpc-listener")


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
