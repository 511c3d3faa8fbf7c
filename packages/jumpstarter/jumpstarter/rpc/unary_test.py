"""Unary calls in cancel scopes: a call that grpc.aio cancels in its own way, and the others."""

import asyncio

import anyio
import pytest

from jumpstarter.rpc.unary import answer


async def never() -> None:
    """Wait as a call of grpc.aio does, which forgets who cancelled it."""
    try:
        await anyio.sleep_forever()
    except asyncio.CancelledError:
        raise asyncio.CancelledError from None


async def test_the_answer_is_returned():
    assert await answer(asyncio.sleep(0, result=3)) == 3


async def test_an_error_is_raised():
    async def fail() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        await answer(fail())


async def test_a_scope_knows_its_own_cancellation():
    with anyio.move_on_after(0.01) as scope:
        await answer(never())
    assert scope.cancelled_caught


async def test_an_outer_scope_knows_its_own_cancellation():
    with anyio.move_on_after(0.01) as outer, anyio.CancelScope() as inner:
        await answer(never())
    assert (outer.cancelled_caught, inner.cancelled_caught) == (True, False)


async def test_a_cancelled_task_stays_cancelled():
    task = asyncio.ensure_future(answer(never()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
