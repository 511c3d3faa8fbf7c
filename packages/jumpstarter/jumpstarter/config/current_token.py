"""The token of a client for as long as a connection lives: what its file says now.

A login, a rotation or a refresh replaces the file, perhaps in another process; whoever asks for
the token afterwards gets the new one. A file that is gone or half-way wrong changes nothing.
"""

import os
from pathlib import Path
from threading import Lock

from jumpstarter.config.loading import read_document
from jumpstarter.config.problems import as_mapping
from jumpstarter.model.errors import JumpstarterException


class CurrentToken:
    """Returns the token when called; looks at the file's times only, until they change."""

    def __init__(self, token: str, path: Path | None) -> None:
        """Begin with `token`, which was read from the file at `path`, if from any."""
        self._token = token
        self._path = path
        self._seen = _stamp(path)
        self._lock = Lock()

    def __call__(self) -> str:
        """Return the token to use now."""
        with self._lock:
            stamp = _stamp(self._path)
            if self._path is not None and stamp is not None and stamp != self._seen:
                self._seen = stamp
                self._token = _token_in(self._path) or self._token
            return self._token


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    if path is None:
        return None
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _token_in(path: Path) -> str | None:
    try:
        content = as_mapping(read_document(path).value) or {}
    except JumpstarterException:
        return None
    token = content.get("token")
    return token if isinstance(token, str) else None
