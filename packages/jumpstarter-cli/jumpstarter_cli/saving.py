"""Writes the file of a client, and makes it the current one where that is due."""

from pathlib import Path

from jumpstarter.config.client import ClientConfigV1Alpha1, UserConfigV1Alpha1
from jumpstarter.model.errors import ConfigurationError

from jumpstarter_cli.client_files import client_aliases


def refuse_to_replace(alias: str, out: Path | None) -> None:
    """Raise ConfigurationError when what is to be written exists already."""
    if out is not None and out.exists():
        raise ConfigurationError(f"'{out}' exists; choose another file, or remove it")
    if out is None and ClientConfigV1Alpha1.exists(alias):
        raise ConfigurationError(
            f"client '{alias}' exists; `jmp config client delete {alias}` removes it"
        )


def save_client(
    config: ClientConfigV1Alpha1, out: Path | None = None, *, current: bool = False
) -> Path:
    """Write the client to `out`, else to the file of its alias, and return where.

    By alias, it becomes the current client when it is the first one, or `current` says so. Raises
    ConfigurationError when a file cannot be written.
    """
    first = not client_aliases()
    path = ClientConfigV1Alpha1.save(config, out)
    if out is None and (current or first):
        make_current(config.alias)
    return path


def make_current(alias: str | None) -> Path | None:
    """Make the client of this alias the current one, or none, and return its file.

    Raises jumpstarter.model.errors.FileNotFoundError when there is none, ConfigurationError when a
    file is wrong or cannot be written.
    """
    return UserConfigV1Alpha1.load_or_create().use_client(alias)
