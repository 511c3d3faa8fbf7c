"""The data directory: one controller at a time, and only its owner looks in."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from jumpstarter.config.files import delete, write_text
from jumpstarter.model.errors import ConfigurationError

LOCK: Final = "lock"
DATABASE: Final = "controller.db"
ADMIN: Final = "admin.yaml"
IDENTITIES: Final = "identities.json"
TOKEN_KEY: Final = "token-key.pem"  # noqa: S105 - the name of a file
STREAM_KEY: Final = "stream-key.pem"
PROBE: Final = "probe"
PROBED: Final = 4096


@contextmanager
def locked(data: Path) -> Generator[None]:
    """Make the directory where it is missing, and hold it for the time of a `with`.

    Raises ConfigurationError when it cannot be written, or when another process holds it.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"cannot use the data directory '{data}': {error.strerror}"
        ) from None
    with os.fdopen(handle, "r+") as file:
        try:
            # Given back by the system however the process ends, unlike a file that exists.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = file.read(20).strip() or "unknown"
            raise ConfigurationError(
                f"the data directory '{data}' is in use by another controller, process {holder}"
            ) from None
        try:
            # Not by the file, which would fail once more when it is closed.
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
        except OSError as error:
            raise ConfigurationError(
                f"cannot write in the data directory '{data}': {error.strerror}"
            ) from None
        yield


def write_problem(data: Path) -> str | None:
    """Return why nothing can be written in the directory now, or None when it can."""
    try:
        # An empty file would fit on a disk that is full.
        write_text(data / PROBE, "x" * PROBED)
        delete(data / PROBE)
    except ConfigurationError as error:
        return str(error)
    return None
