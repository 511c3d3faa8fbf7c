"""Exporter files: which there are, by alias, and which one is meant. Nothing of them is read here.

The user's file hides the system's of the same alias, as it does when one is loaded.
"""

from pathlib import Path
from typing import NamedTuple

import click
from jumpstarter.config import locations

DIRECTORIES = (locations.SYSTEM_PATH / "exporters", locations.CONFIG_PATH / "exporters")
"""Where the files are, the weaker first."""


class ExporterFile(NamedTuple):
    """The file that is meant: that of an alias, or else the one at a path."""

    alias: str | None
    path: Path | None


def chosen_file(alias: str | None, path: Path | None) -> ExporterFile | None:
    """Return which file the options mean, or None; raises UsageError when they mean two."""
    if alias is not None and path is not None:
        raise click.UsageError("--exporter and --exporter-config exclude each other")
    return None if alias is None and path is None else ExporterFile(alias, path)


def exporter_paths() -> dict[str, Path]:
    """Return the path of each alias, sorted by alias; raises OSError for a closed directory."""
    paths = [
        path
        for directory in DIRECTORIES
        if directory.is_dir()
        for path in directory.iterdir()
        if path.suffix == locations.SUFFIX and path.is_file()
    ]
    return dict(sorted({path.stem: path for path in paths}.items()))
