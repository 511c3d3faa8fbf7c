"""Waiting for what a device does in its own time."""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TypeVar

import pytest

T = TypeVar("T")


def eventually(fn: Callable[[], T], *, timeout: float = 5, interval: float = 0.05) -> T:
    """Call `fn` until it raises nothing, and return its result.

    After `timeout` seconds it is called a last time, and what it raises then is raised. Between
    the calls are `interval` seconds. An assertion is as good as any other exception.
    """
    deadline = monotonic() + timeout
    while True:
        remaining = deadline - monotonic()
        try:
            return fn()
        except (Exception, pytest.fail.Exception):
            if remaining <= 0:
                raise
        # Asking again is the point here: what is waited for cannot tell.
        Event().wait(min(interval, remaining))
