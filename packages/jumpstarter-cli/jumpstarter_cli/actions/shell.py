"""`jmp shell`: which of its three ways the options mean."""

import os
from datetime import timedelta
from pathlib import Path

import click
from jumpstarter.config import env

from jumpstarter_cli.addresses import parse_address
from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.exporter_files import chosen_file
from jumpstarter_cli.passphrases import chosen_passphrase
from jumpstarter_cli.reach import put_j_on_path
from jumpstarter_cli.selection import (
    ALL_OPTIONS,
    ClientOptions,
    find_client,
    nothing_chosen,
    one_at_most,
)
from jumpstarter_cli.words import joined_selector

_HALF_AN_HOUR = timedelta(minutes=30)


class ShellOptions(ClientOptions):
    """What was typed."""

    exporter: str | None
    exporter_config: Path | None
    lease: str | None
    selectors: tuple[str, ...]
    exporter_name: str | None
    duration: timedelta | None
    exporter_logs: bool
    acquisition_timeout: timedelta | None
    retry_timeout: timedelta | None
    dial_timeout: timedelta | None
    tls_grpc: str | None
    tls_grpc_insecure: bool
    passphrase: str | None
    passphrase_file: Path | None
    command: tuple[str, ...]


_DIRECT_OPTIONS = ("tls_grpc_insecure", "passphrase", "passphrase_file")
_LEASE_OPTIONS = {
    "lease": "--lease",
    "selectors": "--selector",
    "exporter_name": "--name",
    "duration": "--duration",
    "exporter_logs": "--exporter-logs",
    "acquisition_timeout": "--acquisition-timeout",
    "retry_timeout": "--retry-timeout",
    "dial_timeout": "--dial-timeout",
}


def shell(given: ShellOptions) -> int:
    """Open a shell, or run a command, and return its exit code.

    Raises UsageError for options that do not go together.
    """
    put_j_on_path(os.environ)
    choice = one_at_most(
        client=given["client"],
        client_config=given["client_config"],
        exporter=given["exporter"],
        exporter_config=given["exporter_config"],
        tls_grpc=given["tls_grpc"],
    )
    if choice == "--tls-grpc":
        _refuse_lease_options(given, choice, but=("exporter_logs",))
        return _direct(str(given["tls_grpc"]), given)
    for option in _DIRECT_OPTIONS:
        if given[option]:
            raise click.UsageError(f"--{option.replace('_', '-')} needs --tls-grpc")
    file = chosen_file(given["exporter"], given["exporter_config"])
    if file is not None:
        _refuse_lease_options(given, str(choice))
        return deferred("actions.local_shell:local_shell")(file, given["command"])
    return _leased(given)


def _leased(given: ShellOptions) -> int:
    config = find_client(given["client"], given["client_config"])
    if config is None:
        raise click.UsageError(nothing_chosen((*ALL_OPTIONS, "--tls-grpc")))
    selector, exporter = joined_selector(given["selectors"]), given["exporter_name"]
    name = given["lease"] or env.text(os.environ, env.JMP_LEASE)
    if name is None and selector is None and exporter is None:
        name = deferred("actions.lease_shell:own_lease")(config)
    wish = deferred("actions.lease_shell:LeaseWish")(
        name=name,
        selector=selector,
        exporter_name=exporter,
        duration=given["duration"] or _HALF_AN_HOUR,
        exporter_logs=given["exporter_logs"],
        acquisition_timeout=given["acquisition_timeout"],
        retry_timeout=given["retry_timeout"],
        dial_timeout=given["dial_timeout"],
    )
    return deferred("actions.lease_shell:lease_shell")(config, wish, given["command"])


def _refuse_lease_options(given: ShellOptions, choice: str, but: tuple[str, ...] = ()) -> None:
    for key, option in _LEASE_OPTIONS.items():
        if given[key] and key not in but:
            raise click.UsageError(f"{option} is for a client's lease, and {choice} has none")


def _direct(target: str, given: ShellOptions) -> int:
    address = parse_address(target, "--tls-grpc")
    secret = chosen_passphrase(given["passphrase"], given["passphrase_file"], os.environ)
    return deferred("actions.direct_shell:direct_shell")(
        address,
        given["command"],
        insecure=given["tls_grpc_insecure"],
        passphrase=secret,
        exporter_logs=given["exporter_logs"],
    )
