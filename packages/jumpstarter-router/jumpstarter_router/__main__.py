"""The router as a process: `python -m jumpstarter_router --controller HOST:PORT …`."""

import argparse
import base64
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import anyio
from jumpstarter.logging import setup_logging
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.rpc.channels import SystemTrust, split_target
from jumpstarter.rpc.portal import BACKEND, LOOP_OPTIONS
from jumpstarter.rpc.servers import Bind
from jumpstarter.streams.background import background_tasks

from .certificates import ReloadingCertificate
from .claims import Verifier
from .registration import KeyRing, Place, Registration, caller_metadata
from .router import GRACE, Router, running_router

PROGRAM: Final = "jumpstarter-router"
EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the router until it is told to stop; return the exit code."""
    options = _parser().parse_args(arguments)
    setup_logging(options.log_level, options.log_format)
    try:
        anyio.run(_run, options, backend=BACKEND, backend_options=dict(LOOP_OPTIONS))
    except (ConfigurationError, OSError) as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return 1
    return 0


async def _run(options: argparse.Namespace) -> None:
    ring = KeyRing()
    certificate = ReloadingCertificate(options.tls_certificate, options.tls_key)
    registration = Registration(
        router=Router(Verifier(ring), ready=lambda: ring.is_filled),
        ring=ring,
        place=Place(endpoint=_endpoint(options), labels=dict(options.label)),
        target=options.controller,
        tls=_trust(options.controller_ca),
        read_token=lambda: read_token(options.token_file),
    )
    # What is wrong from the start is not tried again and again.
    caller_metadata(registration.read_token())
    binds = [Bind(options.grpc, certificate.credentials())]
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with running_router(registration.router, binds), background_tasks() as tasks:
            tasks.start_soon(registration.run)
            await anext(signals)
            await _drain(registration, signals, options.grace)


async def _drain(
    registration: Registration, signals: AsyncIterator[signal.Signals], grace: float
) -> None:
    """Let the streams end; a second signal says not to wait."""
    registration.router.begin_drain()
    registration.report_now()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on, signals, tasks.cancel_scope)
        await registration.router.drained(grace)
        tasks.cancel_scope.cancel()


async def _cancel_on(signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope) -> None:
    await anext(signals)
    scope.cancel()


def read_token(path: Path) -> str:
    """Return the token in a file.

    Raises ConfigurationError when it cannot be read, or when others than its owner may.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(
                f"others may read '{path}', which holds a secret; run `chmod 600 '{path}'`"
            )
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigurationError(f"cannot read '{path}': {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"'{path}' holds no token") from None


def _endpoint(options: argparse.Namespace) -> str:
    """Return where callers reach the router. Raises ConfigurationError when that is not known."""
    endpoint: str = options.endpoint or options.grpc
    host, _ = split_target(endpoint)
    if host in EVERYWHERE:
        raise ConfigurationError(
            f"callers cannot reach the router at {endpoint}; say where they can with --endpoint"
        )
    return endpoint


def _trust(authority: Path | None) -> SystemTrust:
    if authority is None:
        return SystemTrust()
    try:
        return SystemTrust(ca=base64.b64encode(authority.read_bytes()).decode("ascii"))
    except OSError as error:
        raise ConfigurationError(f"cannot read '{authority}': {error.strerror}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = parser.add_argument
    add("--grpc", default="127.0.0.1:8083", metavar="HOST:PORT", help="where to listen")
    add("--endpoint", metavar="HOST:PORT", help="where callers reach it, if not there")
    add("--controller", required=True, metavar="HOST:PORT", help="the controller to register with")
    add("--controller-ca", type=Path, metavar="FILE", help="what to trust there, PEM")
    add("--token-file", type=Path, required=True, metavar="FILE", help="the router's own token")
    add("--tls-certificate", type=Path, required=True, metavar="FILE", help="certificates, PEM")
    add("--tls-key", type=Path, required=True, metavar="FILE", help="the private key, PEM")
    add(
        "--label",
        type=_label,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="label that speaks for this router where an exporter has it too",
    )
    add(
        "--grace",
        type=float,
        default=GRACE,
        metavar="SECONDS",
        help=f"how long streams may go on after SIGTERM (default {GRACE:.0f})",
    )
    add("--log-level", default="INFO")
    add("--log-format", choices=["auto", "json", "text"], default="auto")
    return parser


def _label(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


if __name__ == "__main__":
    sys.exit(main())
