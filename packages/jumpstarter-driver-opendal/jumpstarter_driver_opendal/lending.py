"""Whose error wins when a transfer fails: that of the call, which knows the reason.

A driver that gives up closes the stream under the transfer. Both ends of that are seen by the
client, in any order: the call that failed, and the stream that broke because of it.
"""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import anyio

T = TypeVar("T")


@contextmanager
def reason_first(adapter: AbstractContextManager[T]) -> Generator[T]:
    """Enter `adapter`; where the body failed, raise its error and not that of a broken stream."""
    failure: BaseException | None = None
    try:
        with adapter as handle:
            try:
                yield handle
            except BaseException as error:
                failure = error
                raise
    except anyio.BrokenResourceError:
        if failure is None:
            raise
        raise failure from failure.__cause__
