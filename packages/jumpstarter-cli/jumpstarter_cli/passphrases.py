"""The secret that an exporter shares with its clients: where it comes from, and what it may be."""

from collections.abc import Mapping
from pathlib import Path

import click
from jumpstarter.config import env


def chosen_passphrase(
    text: str | None, file: Path | None, environ: Mapping[str, str]
) -> str | None:
    """Return the secret: the one given, else the environment's, else None.

    Raises UsageError for two, for an empty one and for one that gRPC cannot carry, OSError for a
    file that cannot be read.
    """
    if text is not None and file is not None:
        raise click.UsageError("--passphrase and --passphrase-file exclude each other")
    if file is not None:
        return _checked(_first_line(file), f"'{file}'")
    if text is not None:
        return _checked(text, "--passphrase")
    found = env.text(environ, env.JMP_GRPC_PASSPHRASE)
    return None if found is None else _checked(found, env.JMP_GRPC_PASSPHRASE)


def _checked(secret: str, source: str) -> str:
    # gRPC carries it as metadata, where blanks at the ends get lost.
    if not (secret.isascii() and secret.isprintable() and secret and secret == secret.strip()):
        raise click.UsageError(
            f"the passphrase in {source} must be printable ASCII text without blanks at its ends"
        )
    return secret


def _first_line(path: Path) -> str:
    lines = path.read_bytes().decode(errors="replace").splitlines()
    return lines[0] if lines else ""
