"""Writing to a client's call so that the status which the server sent is kept.

grpc.aio takes a write that fails for the end of its call, with a status of its own: INTERNAL,
"Internal error from Core". What the server has said, which is why the write fails, is never heard.
"""

import asyncio
from contextlib import suppress
from typing import Any, TypeAlias, cast

import anyio
import grpc
from grpc.aio import EOF, AioRpcError, StreamStreamCall

STATUS_GRACE = 1.0
"""Seconds that the status of a call may take to arrive when a write of it has failed."""

FAILURES = (AioRpcError, asyncio.InvalidStateError, grpc.aio.BaseError)
"""What grpc.aio raises for a call that is over, or fails now."""

AnyCall: TypeAlias = StreamStreamCall[Any, Any]

Status: TypeAlias = tuple[grpc.StatusCode, str]
"""How a call ended, and the words for it."""


async def write(call: AnyCall, message: bytes) -> None:
    """Write one message that is serialized already.

    Raises one of FAILURES when the call is over; cancelling it cancels the call.
    """
    if call.done():
        raise asyncio.InvalidStateError
    inner = cast("Any", call)
    try:
        if not inner._metadata_sent.is_set():  # noqa: SLF001 - as its own `write` does
            await inner._metadata_sent.wait()  # noqa: SLF001
        await inner._cython_call.send_serialized_message(message)  # noqa: SLF001 - no public way
    except asyncio.CancelledError:
        call.cancel()
        raise


async def why_it_failed(call: AnyCall, *, reading: bool) -> Status | None:
    """Return the status of a call of which a write has failed, if it comes; the call is over then.

    What arrived before the status has to be read: by another task, while one is `reading`, else it
    is dropped here.
    """
    status: Status | None = None
    with anyio.move_on_after(STATUS_GRACE):
        with suppress(*FAILURES):
            while not reading and await call.read() is not EOF:
                pass
        status = await call.code(), await call.details()
    abandon(call)
    return status


def abandon(call: object) -> None:
    """End a client's call of which a write failed.

    Messages that nobody has read keep it, and with it the connection, for as long as the process
    lives, although grpc.aio may say that it is done, and cannot be cancelled.
    """
    if isinstance(call, StreamStreamCall):
        cast("Any", call)._cython_call.cancel("a write failed")  # noqa: SLF001 - no public way
