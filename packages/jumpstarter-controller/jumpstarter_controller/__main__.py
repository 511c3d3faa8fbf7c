"""The controller as a process: `python -m jumpstarter_controller --data DIR`."""

import argparse
import resource
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import anyio
from jumpstarter.logging import setup_logging
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.rpc.portal import BACKEND, LOOP_OPTIONS

from .book import Settings
from .certificates import FilePair
from .config import Config
from .errors import LabError
from .server import running_controller
from .services.messages import LabelRules


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the controller until it is told to stop; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    setup_logging(options.log_level, options.log_format)
    _allow_many_connections()
    try:
        anyio.run(
            _run, _config(options, parser), backend=BACKEND, backend_options=dict(LOOP_OPTIONS)
        )
    except (ConfigurationError, LabError, OSError) as error:
        sys.stderr.write(f"jumpstarter-controller: {error}\n")
        return 1
    return 0


def _allow_many_connections() -> None:
    """Allow as many open files as the system lets: each exporter and client needs one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _run(config: Config) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with running_controller(config):
            async for _ in signals:
                return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jumpstarter-controller", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="directory with the keys and the database")
    add("--database", help="another database: a URL of SQLAlchemy")
    add("--namespace", default="default", help="namespace of all objects")
    add("--grpc", default="127.0.0.1:8082", metavar="HOST:PORT", help="where to listen")
    add("--endpoint", metavar="HOST:PORT", help="where callers reach it, if not there")
    add("--login", metavar="HOST:PORT", help="where to serve logins and health over HTTP")
    add("--tls-certificate", type=Path, metavar="FILE", help="certificate chain, PEM")
    add("--tls-key", type=Path, metavar="FILE", help="its private key, PEM")
    add("--tls-ca", type=Path, metavar="FILE", help="what callers have to trust, PEM")
    add(
        "--trust-key",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="public key of a controller whose tokens are accepted too",
    )
    add("--token-days", type=float, default=365, help="how long new tokens are good")
    add("--keep-leases-days", type=float, default=30, help="how long ended leases are kept")
    add(
        "--hide-label",
        action="append",
        default=[],
        metavar="KEY",
        help="label that clients see only when they ask",
    )
    add(
        "--deprecate-label",
        action="append",
        default=[],
        metavar="KEY=ADVICE",
        help="label that is going away, and what to use instead",
    )
    add("--log-level", default="INFO")
    add("--log-format", choices=["auto", "json", "text"], default="auto")
    return parser


def _config(options: argparse.Namespace, parser: argparse.ArgumentParser) -> Config:
    if (options.tls_certificate is None) != (options.tls_key is None):
        parser.error("--tls-certificate and --tls-key go together")
    if options.token_days <= 0 or options.keep_leases_days <= 0:
        parser.error("a number of days must be more than 0")
    advice = dict(item.partition("=")[::2] for item in options.deprecate_label)
    files = None
    if options.tls_certificate is not None:
        files = FilePair(options.tls_certificate, options.tls_key, options.tls_ca)
    return Config(
        data=options.data,
        database=options.database,
        namespace=options.namespace,
        grpc=options.grpc,
        endpoint=options.endpoint,
        login=options.login,
        certificate=files,
        trusted_keys=tuple(options.trust_key),
        token_lifetime=timedelta(days=options.token_days),
        settings=Settings(lease_retention=timedelta(days=options.keep_leases_days)),
        rules=LabelRules(hidden=frozenset(options.hide_label), deprecated=advice),
    )


if __name__ == "__main__":
    sys.exit(main())
