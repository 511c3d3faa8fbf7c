"""Removes from a directory what a session has made in it, and nothing else.

Links are removed as links and never followed; a path that leads out of the root, or is the root,
is left alone. What cannot be removed is logged, and does not keep the rest.
"""

import shutil
from collections.abc import Set as AbstractSet
from logging import Logger, LoggerAdapter
from pathlib import Path

from .created import ancestors, removal_order


def missing_directories(root: Path, path: str) -> frozenset[str]:
    """Return the directories above `path` that writing it will make."""
    return frozenset(name for name in ancestors(path) if not (root / name).exists())


def remove_created(
    root: Path,
    created: AbstractSet[str],
    parents: AbstractSet[str],
    logger: Logger | LoggerAdapter[Logger],
) -> None:
    """Remove `created` below `root`, and those of the directories `parents` that are empty then."""
    steps = [(name, _remove) for name in removal_order(created)]
    steps += [(name, _remove_if_empty) for name in removal_order(parents)]
    for name, remove in steps:
        path = root / name
        try:
            if _is_inside(root, path):
                remove(path)
        except OSError as error:
            logger.warning("cannot remove %s from the storage: %s", name, error)


def remove_unfinished(root: Path, name: str, logger: Logger | LoggerAdapter[Logger]) -> None:
    """Remove the regular file `name` below `root`; a device or a pipe is left alone."""
    path = root / name
    try:
        if _is_inside(root, path) and path.is_file() and not path.is_symlink():
            path.unlink()
    except OSError as error:
        logger.warning("cannot remove %s from the storage: %s", name, error)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_if_empty(path: Path) -> None:
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()


def _is_inside(root: Path, path: Path) -> bool:
    """Return whether the directory entry `path` lies below `root`, whatever it may link to."""
    entry = path.parent.resolve() / path.name
    return path.name != ".." and entry != root and entry.is_relative_to(root)
