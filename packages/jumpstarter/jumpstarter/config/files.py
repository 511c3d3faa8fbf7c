"""Reading and writing configuration files.

A file is replaced as a whole or not at all, and only its owner may read it: it may hold a token.
Every failure is a `ConfigurationError` that names the file and what to do.
"""

import contextlib
import os
import tempfile
from pathlib import Path

from jumpstarter.model import errors

PRIVATE = 0o600


def read_text(path: Path) -> str:
    """Return the text of a configuration file.

    Raises:
        jumpstarter.model.errors.FileNotFoundError: there is no such file.
        ConfigurationError: it cannot be read, or is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise errors.FileNotFoundError(
            f"configuration file '{path}' does not exist; check the path"
        ) from None
    except IsADirectoryError:
        raise errors.ConfigurationError(
            f"'{path}' is a directory; give the path of a configuration file"
        ) from None
    except (OSError, ValueError) as error:
        raise errors.ConfigurationError(f"cannot read '{path}': {_reason(error)}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise errors.ConfigurationError(
            f"{path}:{line}: the file is not UTF-8 text; save it as UTF-8"
        ) from None


def write_text(path: Path, text: str) -> None:
    """Put `text` in the place of the file at `path`, creating its directory.

    A reader sees the old file or the new one, also when this process or the machine stops half-way.
    A symbolic link stays: what it points to is replaced.

    Raises:
        ConfigurationError: the directory or the file cannot be written; the old file is untouched.
    """
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, text.encode())
    except (OSError, ValueError) as error:
        raise errors.ConfigurationError(f"cannot write '{path}': {_reason(error)}") from None


def delete(path: Path) -> None:
    """Remove a configuration file.

    Raises:
        jumpstarter.model.errors.FileNotFoundError: there is no such file.
        ConfigurationError: it cannot be removed.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        raise errors.FileNotFoundError(f"configuration file '{path}' does not exist") from None
    except OSError as error:
        raise errors.ConfigurationError(f"cannot delete '{path}': {_reason(error)}") from None


def make_directory(path: Path) -> None:
    """Create a directory and those above it, where they do not exist.

    Raises:
        ConfigurationError: it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise errors.ConfigurationError(f"cannot create '{path}': {_reason(error)}") from None


def listed(directory: Path, suffix: str) -> list[Path]:
    """Return the files in `directory` whose name ends in `suffix`, by name; none when it is absent.

    Raises:
        ConfigurationError: the directory cannot be read.
    """
    try:
        entries = sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise errors.ConfigurationError(f"cannot list '{directory}': {_reason(error)}") from None
    return [path for path in entries if path.suffix == suffix and path.is_file()]


def _replace(target: Path, data: bytes) -> None:
    # mkstemp creates with mode 0600. The directory is synced too: without that a rename may be
    # lost with the power although the call returned.
    handle, temporary = tempfile.mkstemp(
        prefix=f".{target.name}.", suffix=".tmp", dir=target.parent
    )
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), PRIVATE)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _reason(error: OSError | ValueError) -> str:
    return str(getattr(error, "strerror", None) or error)
