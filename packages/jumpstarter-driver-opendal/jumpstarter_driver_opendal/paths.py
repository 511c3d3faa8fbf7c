"""How paths inside a storage are read: relative to its root, and never out of it.

The first four functions are pure; only `refuse_way_out` looks at the disk, for links.
"""

import os
from os import PathLike
from pathlib import Path, PurePath


def storage_path(path: str) -> str:
    r"""Return `path` as the storage's own name: no leading slash, no dot segments.

    Backslashes count as slashes, so that a path means the same from every client. A directory
    ends in a slash, and the root is `/`. Raises ValueError for a path that leads out of the root.
    """
    if "\0" in path:
        message = f"path {path!r} contains a NUL character; remove it"
        raise ValueError(message)
    *_, last = segments = path.replace("\\", "/").split("/")
    names: list[str] = []
    for segment in segments:
        if segment == ".." and not names:
            message = f"path {path!r} leads out of the storage root; name a file inside it"
            raise ValueError(message)
        if segment == "..":
            names.pop()
        elif segment not in ("", "."):
            names.append(segment)
    return "/".join(names) + ("/" if last in ("", ".", "..") else "")


def directory_path(path: str) -> str:
    """Return a path from `storage_path` in the form that names a directory."""
    return path if path.endswith("/") else f"{path}/"


def plain_path(path: str) -> str:
    """Return a path from `storage_path` without the slash that marks a directory."""
    return path.strip("/")


def path_text(path: str | PathLike[str]) -> str:
    """Return a client's `path` as text, with slashes also from a Windows path."""
    return path.as_posix() if isinstance(path, PurePath) else os.fspath(path)


def refuse_way_out(root: Path, path: str) -> None:
    """Raise ValueError when symbolic links take `path` out of `root`, which has none itself."""
    if not (root / plain_path(path)).resolve().is_relative_to(root):
        message = f"path {path!r} follows a link out of the storage root; name a file inside it"
        raise ValueError(message)
