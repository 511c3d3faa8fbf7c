"""Adapters: what turns a driver client's stream into something that other programs use.

They are written as async context managers and used as plain ones, through the client's portal.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import wraps
from typing import ParamSpec, TypeVar

from anyio.from_thread import BlockingPortal

__all__ = ["blocking"]

P = ParamSpec("P")
T = TypeVar("T")


def blocking(
    f: Callable[P, AbstractAsyncContextManager[T]],
) -> Callable[P, AbstractContextManager[T]]:
    """Let code without an event loop use the async context manager that `f` returns.

    It runs on the loop of the client that is passed by the keyword `client`; TypeError without it.
    """

    @wraps(f)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> AbstractContextManager[T]:
        portal = getattr(kwargs.get("client"), "portal", None)
        if not isinstance(portal, BlockingPortal):
            message = f"{f.__name__}() needs a driver client as the keyword argument 'client'"
            raise TypeError(message)
        return portal.wrap_async_context_manager(f(*args, **kwargs))

    return wrapper
