"""Which files may have been meant by a name that is not there, to explain a failed netboot.

Only names below the root are looked at, and only so many of them: a lab's tree may be large, and
anybody can ask for names that do not exist.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from difflib import SequenceMatcher
from heapq import nsmallest
from pathlib import Path

from anyio import move_on_after, to_thread
from opendal import (
    exceptions as opendal_errors,  # pyright: ignore[reportMissingModuleSource] - it is compiled
)

from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.files import Directory, Files, open_folder
from jumpstarter_driver_tftp.names import is_unfinished
from jumpstarter_driver_tftp.stores import Store

MAX_NEAR = 3
"""How many names are worth reading."""

MAX_ENTRIES = 2000
"""How many names are looked at."""

MAX_COMPARED = 50
"""How many names are compared letter by letter."""

MAX_DEPTH = 8
"""How many directories deep a name may lie."""

MAX_NAME = 255
"""A longer name resembles nothing that a file system keeps."""

LIST_SECONDS = 2.0
"""How long a store may take to tell what it holds."""

_SIMILAR = 0.75
"""How much of two names must agree, by the measure of `difflib`."""


async def nearest(files: Files, path: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of files that are there and resemble `path`, the best first; at most three."""
    asked = "/".join(path)
    match files:
        case Directory():
            found = await to_thread.run_sync(_near_in_directory, files.root, path)
            found = [name for name in found if await _is_served(files, name)]
        case Store():
            names = await _names_in_store(files)
            found = await to_thread.run_sync(rank, asked, names)
        case _:
            found = []
    return tuple(found[:MAX_NEAR])


async def _is_served(directory: Directory, name: str) -> bool:
    """Tell whether a name is not a device, nor a link that leads nowhere or out."""
    try:
        async with directory.open(tuple(name.split("/"))):
            return True
    except FileRefused:
        return False


def rank(asked: str, names: Iterable[str]) -> list[str]:
    """Return those of `names` that resemble `asked`, the best first; somewhat more than are shown.

    Best is the same name in other case, then a file of the same name in another directory, then
    one that is spelt alike.
    """
    if len(asked) > MAX_NAME:
        return []
    wanted = _Wanted(asked)
    others = (name for name in names if name != asked and len(name) <= MAX_NAME)
    # An upper bound is cheap, so only what is likely is really compared.
    bounds = ((wanted.distance(name, _Measure.quick_ratio), name) for name in others)
    likely = nsmallest(MAX_COMPARED, [(least, name) for least, name in bounds if least is not None])
    compared = ((wanted.distance(name, _Measure.ratio), name) for _, name in likely)
    close = nsmallest(2 * MAX_NEAR, [(far, name) for far, name in compared if far is not None])
    return [name for _, name in close]


_Measure = SequenceMatcher[str]


class _Wanted:
    """A name that others are compared with."""

    def __init__(self, asked: str) -> None:
        self._folded = asked.casefold()
        self._folder, _, self._name = self._folded.rpartition("/")
        self._base = asked.rpartition("/")[2]
        self._as_path = _Measure(autojunk=False)
        self._as_path.set_seq2(self._folded)
        self._as_name = _Measure(autojunk=False)
        self._as_name.set_seq2(self._name)

    def distance(
        self, other: str, measure: Callable[[_Measure], float]
    ) -> tuple[int, float] | None:
        """Return how far another name is, smaller is nearer, or None when it is unlike."""
        folded = other.casefold()
        if folded == self._folded:
            return 0, 0.0
        folder, _, name = folded.rpartition("/")
        if name == self._name:
            kind = 1 if other.rpartition("/")[2] == self._base else 2
            self._as_path.set_seq1(folded)
            return kind, 1.0 - measure(self._as_path)
        likeness = _likeness(self._as_path, folded, measure)
        if folder == self._folder or not self._folder:
            likeness = max(likeness, _likeness(self._as_name, name, measure))
        return (3, 1.0 - likeness) if likeness else None


def _likeness(matcher: _Measure, other: str, measure: Callable[[_Measure], float]) -> float:
    matcher.set_seq1(other)
    if matcher.real_quick_ratio() < _SIMILAR:  # by the lengths alone
        return 0.0
    likeness = measure(matcher)
    return likeness if likeness >= _SIMILAR else 0.0


def _near_in_directory(root: Path, path: tuple[str, ...]) -> list[str]:
    return rank("/".join(path), list(_names_below(root, path)))


def _names_below(root: Path, path: tuple[str, ...]) -> Iterator[str]:
    """List files, first where one was asked for, then from the root down."""
    waiting = deque([path[:-1], ()])
    seen: set[tuple[str, ...]] = set()
    left = MAX_ENTRIES
    while waiting and left > 0:
        folder = waiting.popleft()
        if folder in seen or len(folder) > MAX_DEPTH:
            continue
        seen.add(folder)
        for name, is_folder in _entries(root, folder, left):
            left -= 1
            below = (*folder, name)
            if is_folder:
                waiting.append(below)
            else:
                yield "/".join(below)


def _entries(root: Path, folder: tuple[str, ...], limit: int) -> list[tuple[str, bool]]:
    with suppress(OSError, FileRefused, ValueError), open_folder(root, folder) as descriptor:
        listed = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=descriptor)
        try:
            with os.scandir(listed) as entries:
                return [
                    (entry.name, entry.is_dir(follow_symlinks=False))
                    for entry, _ in zip(entries, range(limit), strict=False)
                    if _is_shown(entry.name)
                ]
        finally:
            os.close(listed)
    return []


def _is_shown(name: str) -> bool:
    # What is read by a person shows what it is: no line breaks, no bytes that are not text.
    return bool(name) and name.isprintable() and not is_unfinished(name)


async def _names_in_store(store: Store) -> list[str]:
    names: list[str] = []
    with move_on_after(LIST_SECONDS), suppress(opendal_errors.Error):
        async for entry in await store.operator.scan("/"):
            if _is_shown(entry.path.rpartition("/")[2]):
                names.append(entry.path)
            if len(names) == MAX_ENTRIES:
                break
    return names
