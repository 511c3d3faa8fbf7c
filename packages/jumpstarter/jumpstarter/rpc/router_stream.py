"""A byte stream over the frames of `RouterService.Stream`, at either end of the call.

Both ends are the same stream with another gRPC object under it. Orderly ends and broken ones are
kept apart: GOAWAY is the peer's half-close and ends reading with EndOfStream; a call that ends
without it, or with a status, breaks the stream.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, cast

import anyio
import grpc
from anyio import BrokenResourceError, BusyResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ObjectStream
from anyio.lowlevel import checkpoint
from grpc.aio import AioRpcError, ServicerContext, StreamStreamCall
from jumpstarter_protocol import router_pb2

from jumpstarter.model.frames import (
    DATAGRAMS_KEY,
    REQUEST_KEY,
    STATE_KEY,
    STATE_OPEN,
    STATE_REFUSED,
    Frame,
    FrameType,
    decode_frame,
    encode_frame,
    pack_batch,
    split,
    unpack_batch,
)
from jumpstarter.streams.metadata import metadata_attributes
from jumpstarter.streams.write_behind import WriteBehindStream, write_behind

CLOSE_GRACE = 5.0
"""Seconds that a close waits for the far side to take what was sent."""

OLD_CLOSE_GRACE = 1.0
"""The same for release 0.9.0, which cannot say that it has."""

ClientCall: TypeAlias = StreamStreamCall[router_pb2.StreamRequest, router_pb2.StreamResponse]
ServerCall: TypeAlias = ServicerContext[router_pb2.StreamRequest, router_pb2.StreamResponse]


RawCall: TypeAlias = StreamStreamCall[bytes, bytes]


class RouterApi(Protocol):
    """What is needed of a stub: the one method of RouterService."""

    def RawStream(self, *, metadata: tuple[tuple[str, str], ...]) -> RawCall:  # noqa: N802 - as its RPC
        """Begin a call whose messages are bytes."""
        ...


@dataclass(kw_only=True, eq=False)
class RouterStream(ObjectStream[bytes]):
    """Wraps one call: `context` is a client's call or a servicer's context.

    Raises ValueError for anything else. One write is one frame, unless it is larger than a frame
    may be; an empty write is an empty frame. Cancelling `receive` breaks the stream. A call whose
    messages are bytes spares two copies of every payload; one of generated messages works too.
    """

    context: ClientCall | ServerCall | RawCall
    raw: bool = False
    """Whether the messages of the call are bytes."""
    extended: bool = False
    """Whether the peer has said that it knows the frames that release 0.9.0 does not."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """Initial metadata of the server, at the client's end."""

    def __post_init__(self) -> None:
        """Choose the kind of message that this end sends."""
        # The context that grpc.aio gives to a servicer is of a private class of its own.
        if isinstance(self.context, StreamStreamCall):
            message_type = router_pb2.StreamRequest
        elif hasattr(self.context, "invocation_metadata"):
            message_type = router_pb2.StreamResponse
        else:
            message = f"RouterStream: {self.context!r} is neither a call nor a servicer context"
            raise ValueError(message)
        self._encode = encode_frame if self.raw else message_encoder(message_type)
        self._received: deque[bytes] = deque()
        self._sending = False
        self._ended = False
        self._answered = False
        self._reason = ""
        self._sent_eof = False
        self._closed = False

    @property
    def extra_attributes(self) -> Mapping[object, Callable[[], object]]:
        """The server's initial metadata."""
        return metadata_attributes(self.metadata)

    @property
    def half_closed(self) -> bool:
        """Whether the peer has said that it sends no more."""
        return self._ended

    async def send(self, item: bytes) -> None:
        """Send `item`, in several frames where it is large.

        Raises BrokenResourceError when the far side is gone, ClosedResourceError after `send_eof`
        or `aclose`, BusyResourceError while another task sends.
        """
        if self._closed or self._sent_eof:
            raise ClosedResourceError
        self._take_turn()
        try:
            for payload in split(item):
                await self._write(FrameType.DATA, payload)
        finally:
            self._sending = False

    async def receive(self) -> bytes:
        """Return the payload of the next frame.

        Raises EndOfStream after the peer's half-close, BrokenResourceError when the call failed,
        ClosedResourceError after `aclose`.
        """
        if self._closed:
            raise ClosedResourceError
        while not self._received:
            self._received.extend(await self._next_payloads())
        return self._received.popleft()

    async def receive_many(self) -> Sequence[bytes]:
        """Return all payloads of the next frame that has any; raises as `receive` does."""
        first = await self.receive()
        if not self._received:
            return (first,)
        payloads = (first, *self._received)
        self._received.clear()
        return payloads

    async def send_many(self, items: Sequence[bytes]) -> None:
        """Send small `items` in one frame where the peer knows how; raises as `send` does."""
        if not self.extended or len(items) == 1:
            for item in items:
                await self.send(item)
            return
        if self._closed or self._sent_eof:
            raise ClosedResourceError
        self._take_turn()
        try:
            await self._write(FrameType.BATCH, pack_batch(items))
        finally:
            self._sending = False

    async def send_eof(self) -> None:
        """Tell the peer that nothing more will be sent; receiving goes on."""
        if self._closed:
            raise ClosedResourceError
        if self._sent_eof:
            return
        self._take_turn()
        self._sent_eof = True
        try:
            await self._write(FrameType.GOAWAY)
            if not self.extended and isinstance(self.context, StreamStreamCall):
                # As in release 0.9.0. It is all that a router, which reads no frames, can see.
                await self.context.done_writing()
        finally:
            self._sending = False

    async def wait_released(self) -> None:
        """Return when the peer is done with this direction too; called after its half-close.

        A peer of release 0.9.0 never says so; then this returns when its call ends.
        """
        while (frame := await self._read()) is not None:
            if frame.kind == FrameType.RST_STREAM:
                return
        if not isinstance(self.context, StreamStreamCall):
            # The end of the requests only repeats the half-close.
            await anyio.sleep_forever()

    async def aclose(self) -> None:
        """Close both directions; what was sent before still reaches the far side.

        Waits a bounded time for the far side to take it. The server's end has nothing to do: the
        call ends when its handler returns.
        """
        if self._closed:
            return
        self._closed = True
        call = self.context
        if not isinstance(call, StreamStreamCall):
            return
        try:
            if not call.done():
                await self._close_orderly(call)
        finally:
            call.cancel()

    async def reset(self) -> None:
        """Break the stream: the far side sees an error, not an end."""
        self._closed = True
        if isinstance(self.context, StreamStreamCall):
            self.context.cancel()

    async def _next_payloads(self) -> Sequence[bytes]:
        if self._ended:
            raise EndOfStream
        while (frame := await self._read()) is not None:
            match frame.kind:
                case FrameType.DATA:
                    return (frame.payload,)
                case FrameType.BATCH:
                    return self._unpacked(frame.payload)
                case FrameType.GOAWAY:
                    break
                case FrameType.RST_STREAM:
                    raise BrokenResourceError
                case _:
                    continue
        self._ended = True
        self._answered = self._sent_eof
        raise EndOfStream

    async def _close_orderly(self, call: ClientCall | RawCall) -> None:
        understood = self.extended
        with anyio.move_on_after(CLOSE_GRACE if understood else OLD_CLOSE_GRACE):
            try:
                if not (understood and self._sent_eof and self._ended):
                    await self._release(call, understood=understood)
                # A peer that ended after this end did has seen it; one that ended before may still
                # be reading.
                while understood or not self._answered:
                    frame = await self._read()
                    if frame is None:
                        return
                    self._answered = self._answered or frame.kind == FrameType.GOAWAY
            except (BrokenResourceError, BusyResourceError):
                return

    async def _release(self, call: ClientCall | RawCall, *, understood: bool) -> None:
        self._take_turn()
        if not self._sent_eof:
            await self._write(FrameType.GOAWAY)
        if understood:
            await self._write(FrameType.RST_STREAM)
        await call.done_writing()

    def _take_turn(self) -> None:
        """Refuse a second task: gRPC takes one message at a time, and in an order."""
        if self._sending:
            raise BusyResourceError("sending to")
        self._sending = True

    async def _write(self, frame_type: FrameType, payload: bytes = b"") -> None:
        call = self.context
        message = self._encode(frame_type, payload)
        try:
            await call.write(message)  # pyright: ignore[reportArgumentType] - chosen with the call
        except (AioRpcError, asyncio.InvalidStateError, grpc.aio.BaseError) as error:
            raise await self._unwritable(error) from error
        except asyncio.CancelledError:
            self._raise_if_reset()
            raise
        if call.done():
            # grpc.aio reports no error for a write that a finished call swallowed.
            raise await self._broken()

    async def _read(self) -> Frame | None:
        """Return the next frame, or None at the end of the call's messages."""
        call = self.context
        try:
            message = await call.read()
        except (AioRpcError, asyncio.InvalidStateError, grpc.aio.BaseError) as error:
            raise await self._broken() from error
        except asyncio.CancelledError:
            self._raise_if_reset()
            raise
        if isinstance(message, bytes):
            return self._decoded(message)
        if isinstance(message, (router_pb2.StreamRequest, router_pb2.StreamResponse)):
            return Frame(message.frame_type, message.payload)
        if not isinstance(call, StreamStreamCall) and not self._ended:
            # A client that half-closes says so with GOAWAY: this one has vanished.
            raise BrokenResourceError
        return None

    def _decoded(self, message: bytes) -> Frame:
        try:
            return decode_frame(message)
        except ValueError as error:
            raise BrokenResourceError(str(error)) from None

    def _unpacked(self, batch: bytes) -> list[bytes]:
        try:
            return unpack_batch(batch)
        except ValueError as error:
            raise BrokenResourceError(str(error)) from None

    async def _broken(self) -> BrokenResourceError:
        """Return the error for a call that is over, with the words of the far side."""
        call = self.context
        if not isinstance(call, StreamStreamCall):
            return BrokenResourceError("the client went away")
        if not self._reason and call.done():
            self._reason = f"{(await call.code()).name}: {await call.details()}"
        return BrokenResourceError(self._reason or "the call failed")

    async def _unwritable(self, error: Exception) -> BrokenResourceError:
        """Return the error for a write that failed with `error`, and let go of the call."""
        broken = await self._broken()
        if isinstance(error, AioRpcError):
            abandon(self.context)
        return broken

    def _raise_if_reset(self) -> None:
        """Tell a call that was cancelled by `reset` from a task that is being cancelled."""
        task = asyncio.current_task()
        if self._closed and (task is None or not task.cancelling()):
            raise ClosedResourceError


def message_encoder(
    message_type: type[router_pb2.StreamRequest] | type[router_pb2.StreamResponse],
) -> Callable[[FrameType, bytes], router_pb2.StreamRequest | router_pb2.StreamResponse]:
    """Return what makes a generated message of a frame."""

    def encode(
        kind: FrameType, payload: bytes
    ) -> router_pb2.StreamRequest | router_pb2.StreamResponse:
        return message_type(payload=payload, frame_type=kind)  # pyright: ignore[reportArgumentType] - an open enum

    return encode


def abandon(call: object) -> None:
    """End a client's call of which a write failed.

    For grpc.aio such a call is done, and cannot be cancelled; but messages that nobody has read
    keep it, and with it the connection, for as long as the process lives.
    """
    if isinstance(call, StreamStreamCall):
        cast("Any", call)._cython_call.cancel("a write failed")  # noqa: SLF001 - no public way


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
