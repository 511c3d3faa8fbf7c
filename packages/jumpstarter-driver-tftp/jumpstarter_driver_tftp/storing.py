"""Brings files to and from what a driver serves, whole or not at all.

A device may ask while a file is being brought, so it gets its name once all of it has arrived and
its hash is right; the same holds for a file that is fetched.
"""

import hashlib
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from jumpstarter.client.core import DriverError
from jumpstarter_driver_opendal.client import OpendalClient

from jumpstarter_driver_tftp.errors import DamagedError
from jumpstarter_driver_tftp.names import UNFINISHED, is_unfinished


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that is served.

    Attributes:
        name: its path below the root, as a device names it.
        size: how many bytes it has.
    """

    name: str
    size: int


def put(storage: OpendalClient, path: Path, name: str) -> Stored:
    """Make the file `name` of the local file `path`.

    Raises:
        OSError: the local file cannot be read.
        DamagedError: something else arrived.
        DriverError: the storage cannot take it.
    """
    with path.open("rb") as file:
        expected = hashlib.file_digest(file, "sha256").hexdigest()
        size = os.fstat(file.fileno()).st_size
    folder, _, last = name.rpartition("/")
    draft = f"{UNFINISHED}{secrets.token_hex(16)}"
    # Some stores cannot rename; on those nothing appears before it is complete anyway.
    renames = storage.capability().rename
    written = (f"{folder}/{draft}" if folder else draft) if renames else name
    try:
        storage.write_from_path(written, path)
        _compare(expected, storage.hash(written), last)
        if renames:
            storage.rename(written, name)
    except BaseException:
        with suppress(DriverError):
            storage.delete(written)
        raise
    return Stored(name, size)


def fetch(storage: OpendalClient, name: str, path: Path) -> Stored:
    """Make the local file `path` of the file `name`.

    Raises:
        OSError: the local file cannot be written.
        DamagedError: something else arrived.
        DriverError: there is no such file, or it cannot be read.
    """
    expected = storage.hash(name)
    with draft_of(path) as draft:
        storage.read_into_path(name, draft)
        with draft.open("rb") as file:
            arrived = hashlib.file_digest(file, "sha256").hexdigest()
        _compare(expected, arrived, name)
        size = draft.stat().st_size
    return Stored(name, size)


def _compare(expected: str, arrived: str, name: str) -> None:
    if arrived != expected:
        raise DamagedError(f"{name}: what arrived differs from what was sent; try again")


@contextmanager
def draft_of(path: Path) -> Generator[Path]:
    """Give a path beside `path` whose file gets that name when the context ends without error."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def files_below(storage: OpendalClient, path: str = "") -> Generator[Stored]:
    """Yield the files below `path`, sorted by name.

    Raises:
        DriverError: the storage cannot tell.
    """
    names = [name for name in storage.scan(f"{path.strip('/')}/") if not name.endswith("/")]
    for name in sorted(names):
        if not is_unfinished(name.rpartition("/")[2]):
            yield Stored(name, storage.stat(name).content_length)
