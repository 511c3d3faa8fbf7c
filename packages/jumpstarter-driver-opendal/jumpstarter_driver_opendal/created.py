"""Which paths a session has created, as pure functions on plain paths.

A path is here without slashes at its ends, and never the root, so that nothing in such a set can
mean all of the storage.
"""

from collections.abc import Set as AbstractSet

from .paths import plain_path, storage_path


def created_name(path: str) -> str:
    """Return the name under which `path` is remembered; empty for the root.

    Raises ValueError for a path that leads out of the root.
    """
    return plain_path(storage_path(path))


def at_or_below(created: AbstractSet[str], path: str) -> frozenset[str]:
    """Return what of `created` goes when `path` and all that lies below it is removed."""
    name = created_name(path)
    return frozenset(
        item for item in created if not name or item == name or item.startswith(f"{name}/")
    )


def removal_order(created: AbstractSet[str]) -> list[str]:
    """Return `created` in the order of removal: what lies in a directory before the directory."""
    return sorted(created - {""}, reverse=True)


def ancestors(path: str) -> list[str]:
    """Return the directories that contain `path`, the outermost first."""
    names = created_name(path).split("/")
    return ["/".join(names[:count]) for count in range(1, len(names))]
