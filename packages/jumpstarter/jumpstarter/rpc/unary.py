"""Awaiting unary calls inside cancel scopes."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from anyio.lowlevel import checkpoint_if_cancelled

T = TypeVar("T")


async def answer(call: Awaitable[T]) -> T:
    """Return the answer of a unary call of grpc.aio; raises as awaiting the call does.

    When a scope cancels such a call, grpc.aio raises a CancelledError of its own, which no scope
    takes for its own: a `fail_after` around it would end the task instead of raising TimeoutError.
    """
    try:
        return await call
    except asyncio.CancelledError:
        # Raises what the scope knows, if it was a scope.
        await checkpoint_if_cancelled()
        raise
