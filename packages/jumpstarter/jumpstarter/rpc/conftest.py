"""What the tests of streams and servers share: a server whose one method a test writes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

from grpc.aio import (
    AioRpcError,
    Channel,
    Server,
    ServerInterceptor,
    ServicerContext,
    StreamStreamCall,
)
from jumpstarter_protocol import router_pb2, router_pb2_grpc
from typing_extensions import override

from jumpstarter.model.frames import STATE_KEY, STATE_OPEN, FrameType
from jumpstarter.rpc.channels import connect, unix_target
from jumpstarter.rpc.opening import RouterApi, connect_stream
from jumpstarter.rpc.router_stream import RouterStream
from jumpstarter.rpc.servers import serve, unix_bind
from jumpstarter.rpc.stub import MultipathExporterStub
from jumpstarter.streams.listeners import TemporarySocket

Context = ServicerContext[Any, Any]
Call = StreamStreamCall[router_pb2.StreamRequest, router_pb2.StreamResponse]
Handler = Callable[[Context], Awaitable[None]]
Sent = tuple[int, bytes]
"""The number of a frame's type, and its payload."""

DATA, GOAWAY, PING, RST = (
    FrameType.DATA.value,
    FrameType.GOAWAY.value,
    FrameType.PING.value,
    FrameType.RST_STREAM.value,
)
OPEN = ((STATE_KEY, STATE_OPEN),)


@dataclass
class OneMethod(router_pb2_grpc.RouterServiceServicer):
    """Serves `Stream` with `handler`, whose frames are generated messages as in release 0.9.0."""

    handler: Handler

    @override
    async def Stream(  # pyright: ignore[reportIncompatibleMethodOverride] - writes to the context
        self, request_iterator: AsyncIterator[router_pb2.StreamRequest], context: Context
    ) -> None:
        await self.handler(context)


@asynccontextmanager
async def serve_stream(
    handler: Handler, interceptors: Sequence[ServerInterceptor] = ()
) -> AsyncGenerator[Channel]:
    """Serve `handler` as RouterService's Stream; yield a channel to it."""

    def register(server: Server) -> None:
        router_pb2_grpc.add_RouterServiceServicer_to_server(OneMethod(handler), server)

    with TemporarySocket() as path:
        async with (
            serve(register, [unix_bind(path)], interceptors),
            connect(unix_target(path)) as channel,
        ):
            yield channel


@asynccontextmanager
async def connected(handler: Handler) -> AsyncGenerator[RouterStream]:
    """Yield the client's end of a stream that `handler` serves."""
    async with (
        serve_stream(handler) as channel,
        connect_stream(stub_of(channel), "{}") as stream,
    ):
        assert isinstance(stream, RouterStream)
        yield stream


def stub_of(channel: Channel) -> RouterApi:
    return cast("Any", MultipathExporterStub([channel]))


@asynccontextmanager
async def called(handler: Handler) -> AsyncGenerator[Call]:
    """Yield the bare call of a client whose stream `handler` serves."""
    async with serve_stream(handler) as channel:
        call = router_pb2_grpc.RouterServiceStub(channel).Stream()
        yield call
        call.cancel()


def frame_of(message: object) -> Sent | None:
    """Return what a message holds; None is the end of the messages."""
    if isinstance(message, (router_pb2.StreamRequest, router_pb2.StreamResponse)):
        return int(message.frame_type), message.payload
    return None


async def frames_of(context: Context | Call) -> list[Sent]:
    """Return all frames that the peer sends until it ends its side of the call."""
    frames: list[Sent] = []
    while (frame := frame_of(await context.read())) is not None:
        frames.append(frame)
    return frames


async def write_frames(context: Context, frames: Sequence[Sent]) -> None:
    """Send `frames` from the server."""
    for kind, payload in frames:
        message = router_pb2.StreamResponse(payload=payload)
        message.frame_type = kind  # pyright: ignore[reportAttributeAccessIssue] - an open enum
        await context.write(message)


async def request_frames(call: Call, frames: Sequence[Sent]) -> None:
    """Send `frames` from the client, as far as the server takes them."""
    with suppress(AioRpcError, asyncio.InvalidStateError):
        for kind, payload in frames:
            message = router_pb2.StreamRequest(payload=payload)
            message.frame_type = kind  # pyright: ignore[reportAttributeAccessIssue] - an open enum
            await call.write(message)


def sending(*frames: Sent, metadata: Sequence[tuple[str, str]] = OPEN) -> Handler:
    """Return a handler that sends `frames` and then waits for the client to leave."""

    async def handle(context: Context) -> None:
        await context.send_initial_metadata(metadata)
        await write_frames(context, frames)
        await frames_of(context)

    return handle
