"""`jmp lab up`: which lab the options mean. What runs it is an extra, so it is loaded last."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict, Unpack

import click

from jumpstarter_cli.addresses import parse_address
from jumpstarter_cli.deferred import deferred
from jumpstarter_cli.logs import LogChoice, log_to_service


class UpOptions(TypedDict):
    """What was typed."""

    data: Path | None
    namespace: str
    grpc: str
    router: str
    endpoint: str | None
    router_endpoint: str | None
    login: str | None
    tls_cert: Path | None
    tls_key: Path | None
    tls_ca: Path | None


def up(*, log: LogChoice, **given: Unpack[UpOptions]) -> int:
    """Run a lab until a signal, and return the exit code.

    Raises UsageError for options that make no sense, ClickException without the extra, and what
    `run` raises.
    """
    _check(given)
    if find_spec("jumpstarter_lab") is None:
        raise click.ClickException(
            "a lab needs one more package: install it with `pip install 'jumpstarter-cli[lab]'`"
        )
    given["data"] = (given["data"] or default_data(Path.home())).absolute()
    log_to_service(log)
    return deferred("actions.lab_running:run")(given)


def default_data(home: Path) -> Path:
    """Return the directory of a lab that is given none."""
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared) if shared else home / ".local" / "share") / "jumpstarter" / "lab"


def _check(given: UpOptions) -> None:
    for option in ("grpc", "router", "login"):
        text = given[option]
        if text is not None:
            # Any default host will do: what counts is that port 0 takes a free one.
            parse_address(text, f"--{option}", default_host="127.0.0.1")
            if ":" not in text:
                raise click.UsageError(f"--{option}: '{text}' has no host; write HOST:PORT")
    for option, text in (
        ("--endpoint", given["endpoint"]),
        ("--router-endpoint", given["router_endpoint"]),
    ):
        if text is not None:
            parse_address(text, option)
    if (given["tls_cert"] is None) != (given["tls_key"] is None):
        raise click.UsageError("--tls-cert and --tls-key go together")
    if given["tls_ca"] is not None and given["tls_cert"] is None:
        raise click.UsageError("--tls-ca needs --tls-cert and --tls-key")
