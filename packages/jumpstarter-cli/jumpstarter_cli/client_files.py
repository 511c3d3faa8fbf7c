"""Client files: which there are, by alias. Nothing of them is read here."""

from pathlib import Path

from jumpstarter.config import locations

DIRECTORY = locations.CONFIG_PATH / "clients"


def client_aliases() -> dict[str, Path]:
    """Return the path of each alias, sorted by alias; raises OSError for a closed directory."""
    if not DIRECTORY.is_dir():
        return {}
    paths = [path for path in DIRECTORY.iterdir() if path.suffix == locations.SUFFIX]
    return dict(sorted((locations.alias_of(path), path) for path in paths if path.is_file()))
