"""Which paths a session has created, as pure functions on sets of plain paths.

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


def with_created(created: AbstractSet[str], path: str) -> frozenset[str]:
    """Return `created` with `path`; the root is never added."""
    return frozenset(created) | {created_name(path)} - {""}


def without_removed(created: AbstractSet[str], path: str) -> frozenset[str]:
    """Return `created` without `path` and all that lies below it."""
    name = created_name(path)
    return frozenset(item for item in created if not _is_at_or_below(item, name))


def removal_order(created: AbstractSet[str]) -> list[str]:
    """Return `created` in the order of removal: what lies in a directory before the directory."""
    return sorted(created - {""}, reverse=True)


def ancestors(path: str) -> list[str]:
    """Return the directories that contain `path`, the outermost first."""
    names = created_name(path).split("/")
    return ["/".join(names[:count]) for count in range(1, len(names))]


def _is_at_or_below(item: str, name: str) -> bool:
    return not name or item == name or item.startswith(f"{name}/")
