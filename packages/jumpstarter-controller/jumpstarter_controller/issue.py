"""Certificates for the routers of a lab, of the authority that its people trust already.

    python -m jumpstarter_controller.issue --data DIR --out PREFIX HOST ...

Writes PREFIX.pem and PREFIX-key.pem, which a router on another machine takes as --tls-certificate
and --tls-key. To be run where the data directory is, whether the controller runs or not, and again
before the year is over; a router reads files that have changed.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from jumpstarter.config.files import write_text
from jumpstarter.model.errors import ConfigurationError

from .certificates import Clock, KeptPair, Pair


def issued(data: Path, hosts: Sequence[str], clock: Clock) -> Pair:
    """Return a new certificate for `hosts`, signed by the authority that is kept in `data`.

    Raises ConfigurationError when there is none: then the controller's certificate comes from
    files, and so must those of routers.
    """
    if not (data / "ca.pem").exists():
        raise ConfigurationError(
            f"'{data}' has no certificate authority: start a controller on it once, without "
            "--tls-certificate"
        )
    return KeptPair(data, tuple(hosts), clock).issue()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m jumpstarter_controller.issue",
        description="Make a certificate for a router of this lab on another machine.",
    )
    parser.add_argument("--data", type=Path, required=True, help="the controller's data directory")
    parser.add_argument("--out", type=Path, required=True, metavar="PREFIX", help="files to write")
    parser.add_argument("hosts", nargs="+", metavar="HOST", help="name or address of the router")
    options = parser.parse_args(arguments)
    certificate = options.out.with_name(f"{options.out.name}.pem")
    key = options.out.with_name(f"{options.out.name}-key.pem")
    try:
        pair = issued(options.data, options.hosts, lambda: datetime.now(UTC))
        write_text(key, pair.key.decode("ascii"))
        write_text(certificate, pair.chain.decode("ascii"))
    except (ConfigurationError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 1
    sys.stdout.write(f"{certificate}\n{key}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
