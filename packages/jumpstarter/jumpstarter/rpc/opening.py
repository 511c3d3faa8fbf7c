"""Opening a byte stream of an exporter: what is asked for, and whether it was refused."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from anyio.lowlevel import checkpoint
from grpc.aio import AioRpcError

from jumpstarter.model.frames import (
    DATAGRAMS_KEY,
    REQUEST_KEY,
    STATE_KEY,
    STATE_OPEN,
    STATE_REFUSED,
)
from jumpstarter.streams.write_behind import WriteBehindStream, write_behind

from .router_stream import RawCall, RouterStream


class RouterApi(Protocol):
    """What is needed of a stub: the one method of RouterService."""

    def RawStream(self, *, metadata: tuple[tuple[str, str], ...]) -> RawCall:  # noqa: N802 - as its RPC
        """Begin a call whose messages are bytes."""
        ...


@asynccontextmanager
async def connect_stream(
    stub: RouterApi, request: str
) -> AsyncGenerator[RouterStream | WriteBehindStream]:
    """Open the stream that the JSON object `request` describes, and yield it.

    One of datagrams is written to behind the sender's back. Leaving closes the stream so that what
    was sent arrives; leaving with an exception resets it. Raises AioRpcError with the status of a
    server that refuses.
    """
    call = stub.RawStream(metadata=((REQUEST_KEY, request), (STATE_KEY, STATE_OPEN)))
    try:
        metadata = {key: str(value) for key, value in await call.initial_metadata()}
        if await _is_refused(call, metadata):
            raise await _status_error(call)
        extended = metadata.get(STATE_KEY) == STATE_OPEN
        stream = RouterStream(context=call, raw=True, extended=extended, metadata=metadata)
        if extended and DATAGRAMS_KEY in metadata:
            async with write_behind(stream) as wrapped:
                yield wrapped
        else:
            yield stream
            await stream.aclose()
    finally:
        call.cancel()


async def _is_refused(call: RawCall, metadata: Mapping[str, str]) -> bool:
    state = metadata.get(STATE_KEY)
    if state is not None:
        return state == STATE_REFUSED
    # A server of release 0.9.0 refuses with nothing but a status, which comes in the same packet
    # as the empty metadata, but in an event of its own.
    for _ in range(3):
        await checkpoint()
    return call.done()


async def _status_error(call: RawCall) -> AioRpcError:
    return AioRpcError(
        await call.code(),
        await call.initial_metadata(),
        await call.trailing_metadata(),
        details=await call.details(),
    )
