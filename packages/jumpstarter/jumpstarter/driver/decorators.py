"""Marks the methods of a driver that clients may use.

A mark is an attribute of the function whose value must equal `MARKER_MAGIC`, so that an attribute
of the same name by accident exports nothing. An override is exported only if it is marked again.
"""

import inspect
from collections.abc import Callable
from typing import Final, TypeVar

MARKER_MAGIC: Final = "07c9b9cc"
MARKER_DRIVERCALL: Final = "marker_drivercall"
MARKER_STREAMCALL: Final = "marker_streamcall"
MARKER_STREAMING_DRIVERCALL: Final = "marker_streamingdrivercall"

F = TypeVar("F", bound=Callable[..., object])


def export(func: F) -> F:
    """Let clients call `func`: a plain or coroutine function, or a generator of either kind.

    A plain function runs in a worker thread, a coroutine function on the exporter's event loop.
    A generator becomes a streaming call. Raises ValueError for anything else.
    """
    setattr(func, _marker(func), MARKER_MAGIC)
    return func


def exportstream(func: F) -> F:
    """Let clients open `func` as a byte stream: an async context manager yielding the stream."""
    setattr(func, MARKER_STREAMCALL, MARKER_MAGIC)
    return func


def _marker(func: object) -> str:
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        return MARKER_STREAMING_DRIVERCALL
    if inspect.isroutine(func) or inspect.iscoroutinefunction(func):
        return MARKER_DRIVERCALL
    message = f"export: {func!r} is not a function or generator function"
    raise ValueError(message)


def has_marker(func: object, marker: str) -> bool:
    """Return whether `func` carries `marker`."""
    return getattr(func, marker, None) == MARKER_MAGIC
