"""A byte stream over the frames of `RouterService.Stream`, at either end of the call.

Both ends are the same stream with another gRPC object under it. Orderly ends and broken ones are
kept apart: GOAWAY is the peer's half-close and ends reading with EndOfStream; a call that ends
without it, or with a status, breaks the stream.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio
import grpc
from anyio import BrokenResourceError, BusyResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ObjectStream
from grpc.aio import ServicerContext, StreamStreamCall
from jumpstarter_protocol import router_pb2

from jumpstarter.model.frames import (
    Frame,
    FrameType,
    decode_frame,
    encode_frame,
    pack_batch,
    split,
    unpack_batch,
)
from jumpstarter.streams.metadata import metadata_attributes

from .writing import FAILURES, Status, why_it_failed, write

CLOSE_GRACE = 5.0
"""Seconds that a close waits for the far side to take what was sent."""

OLD_CLOSE_GRACE = 1.0
"""The same for release 0.9.0, which cannot say that it has."""

ClientCall: TypeAlias = StreamStreamCall[router_pb2.StreamRequest, router_pb2.StreamResponse]
ServerCall: TypeAlias = ServicerContext[router_pb2.StreamRequest, router_pb2.StreamResponse]
RawCall: TypeAlias = StreamStreamCall[bytes, bytes]


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
        """Choose the kind of message that a server sends."""
        # The context that grpc.aio gives to a servicer is of a private class of its own.
        is_context = hasattr(self.context, "invocation_metadata")
        if not is_context and not isinstance(self.context, StreamStreamCall):
            message = f"RouterStream: {self.context!r} is neither a call nor a servicer context"
            raise ValueError(message)
        self._encode = encode_frame if self.raw else encode_message
        self._received: deque[bytes] = deque()
        self._sending = False
        self._reading = False
        self._reader_left: anyio.Event | None = None
        self._ended = False
        self._answered = False
        self._status: Status | None = None
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
        ClosedResourceError after `aclose`, BusyResourceError while another task receives.
        """
        if self._closed:
            raise ClosedResourceError
        if self._reading:
            raise BusyResourceError("receiving from")
        while not self._received:
            self._received.extend(await self._receive_more())
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

        Waits a bounded time for the far side to take it. A task that receives meanwhile gets
        ClosedResourceError. The server's end has nothing to do: the call ends when its handler
        returns.
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

    async def _receive_more(self) -> Sequence[bytes]:
        """Return what the next frame holds, as the only reader; raises as `receive` does."""
        self._reading = True
        try:
            payloads = await self._next_payloads()
        except (EndOfStream, BrokenResourceError):
            if self._closed:
                raise ClosedResourceError from None
            raise
        finally:
            self._reading = False
            if self._reader_left is not None:
                self._reader_left.set()
        if self._closed:
            raise ClosedResourceError
        return payloads

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
                if self._reading:
                    self._reader_left = anyio.Event()
                    await self._reader_left.wait()
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
            self._sent_eof = True
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
        try:
            if isinstance(call, StreamStreamCall):
                await write(call, encode_frame(frame_type, payload))
            else:
                await call.write(self._encode(frame_type, payload))  # pyright: ignore[reportArgumentType] - as its method takes
        except FAILURES as error:
            if isinstance(call, StreamStreamCall) and not call.done():
                self._status = await why_it_failed(call, reading=self._reading)
            broken = await self._broken()
            broken.__cause__ = error
        except asyncio.CancelledError:
            self._raise_if_reset()
            raise
        else:
            # grpc.aio reports no error for a write that a finished call swallowed.
            broken = await self._broken() if call.done() else None
        # A server may have answered a half-close before this end's write of it has returned.
        if broken is not None and not (frame_type is FrameType.GOAWAY and self._ended_well()):
            raise broken

    async def _read(self) -> Frame | None:
        """Return the next frame, or None at the end of the call's messages."""
        call = self.context
        try:
            message = await call.read()
        except FAILURES as error:
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
        if self._status is None and call.done():
            self._status = await call.code(), await call.details()
        if self._status is None:
            return BrokenResourceError("the call failed, and the far side does not say why")
        code, details = self._status
        return BrokenResourceError(f"{code.name}: {details}")

    def _ended_well(self) -> bool:
        """Return whether the server has ended the call as one that needs nothing more."""
        return self._status is not None and self._status[0] is grpc.StatusCode.OK

    def _raise_if_reset(self) -> None:
        """Tell a call that was cancelled by `reset` from a task that is being cancelled."""
        task = asyncio.current_task()
        if self._closed and (task is None or not task.cancelling()):
            raise ClosedResourceError


def encode_message(kind: FrameType, payload: bytes) -> router_pb2.StreamResponse:
    """Return the generated message of a frame."""
    return router_pb2.StreamResponse(payload=payload, frame_type=kind)  # pyright: ignore[reportArgumentType] - an open enum
