"""Where configuration files lie.

The home is decided once, when this module is imported. The classes hold the directories as class
variables, and read them at every call, so that tests and tools can point them elsewhere.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from jumpstarter.config import env
from jumpstarter.model import errors

SUFFIX = ".yaml"


def config_home(environ: Mapping[str, str]) -> Path:
    """Return the directory of the user's configuration."""
    own = env.text(environ, env.JMP_CLIENT_CONFIG_HOME)
    if own is not None:
        return Path(own)
    shared = env.text(environ, env.XDG_CONFIG_HOME)
    if shared is not None:
        return Path(shared) / "jumpstarter"
    return _home() / ".config" / "jumpstarter"


def alias_of(path: Path) -> str:
    """Return the alias under which a client file is known: its name up to the first dot."""
    return path.name.split(".")[0]


def is_alias(alias: str) -> bool:
    """Say whether `alias` can name a file without leaving its directory."""
    return alias not in {"", ".", ".."} and not set(alias) & {"/", "\\", "\0", os.sep}


def exists(path: Path) -> bool:
    """Say whether a file is there; a name that the system cannot hold is not."""
    return os.path.exists(path)


def missing(kind: str, alias: str, path: Path, listing: str) -> errors.FileNotFoundError:
    """Return the error for an alias that has no file; `listing` is the command that shows all."""
    return errors.FileNotFoundError(
        f"there is no {kind} '{alias}': '{path}' does not exist; `{listing}` shows those there are"
    )


def _home() -> Path:
    # A container may run under a user id that has neither HOME nor an entry in the user database.
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


CONFIG_PATH = config_home(os.environ)
SYSTEM_PATH = Path("/etc/jumpstarter")
