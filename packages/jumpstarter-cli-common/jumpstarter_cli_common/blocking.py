"""Commands that are coroutine functions."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import anyio

P = ParamSpec("P")
T = TypeVar("T")


def blocking(f: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return a plain function that runs the coroutine function in an event loop of its own."""

    @wraps(f)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        return anyio.run(lambda: f(*args, **kwargs))

    return wrapper
