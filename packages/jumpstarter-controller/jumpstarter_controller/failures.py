"""Out of a task group: the one failure that it wraps, for those who catch it by its kind."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import cast


def first_of(error: Exception) -> Exception:
    """Return `error`, or of a group the first failure in it."""
    return _leaves(error)[0]


@contextmanager
def unwrapped() -> Generator[None]:
    """Raise the failure itself where a group holds only one."""
    try:
        yield
    except ExceptionGroup as group:
        leaves = _leaves(group)
        if len(leaves) > 1:
            raise
        raise leaves[0] from leaves[0].__cause__


def _leaves(error: Exception) -> list[Exception]:
    if not isinstance(error, ExceptionGroup):
        return [error]
    group = cast("ExceptionGroup[Exception]", error)
    return [leaf for inner in group.exceptions for leaf in _leaves(inner)]
