"""Router streams over a real connection: what each frame means, at either end of the call."""

import asyncio
import hashlib
import random
from collections.abc import Sequence

import anyio
import grpc
import pytest
from anyio import BrokenResourceError, BusyResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ObjectStream
from grpc.aio import AioRpcError

from jumpstarter.model.frames import STATE_KEY, STATE_REFUSED
from jumpstarter.rpc.conftest import (
    DATA,
    GOAWAY,
    OPEN,
    PING,
    RST,
    Context,
    Sent,
    called,
    connected,
    frames_of,
    request_frames,
    sending,
    serve_stream,
    stub_of,
    write_frames,
)
from jumpstarter.rpc.opening import connect_stream
from jumpstarter.rpc.router_stream import RouterStream
from jumpstarter.streams.metadata import MetadataStreamAttributes

MIB = 1 << 20

READINGS: list[tuple[list[Sent], list[bytes | type[Exception]]]] = [
    ([(DATA, b"a"), (DATA, b"b"), (GOAWAY, b"")], [b"a", b"b", EndOfStream, EndOfStream]),
    ([(DATA, b""), (DATA, b"a"), (DATA, b""), (GOAWAY, b"")], [b"", b"a", b"", EndOfStream]),
    ([(PING, b""), (DATA, b"a"), (PING, b"x"), (GOAWAY, b"")], [b"a", EndOfStream]),
    ([(1, b"x"), (99, b"y"), (DATA, b"a"), (GOAWAY, b"")], [b"a", EndOfStream]),
    ([(DATA, b"a"), (GOAWAY, b"last"), (DATA, b"late")], [b"a", EndOfStream, EndOfStream]),
    ([(DATA, b"a"), (RST, b""), (GOAWAY, b"")], [b"a", BrokenResourceError]),
]
"""Frames that a peer sends, and what reading them gives."""


async def outcomes(stream: ObjectStream[bytes], count: int) -> list[bytes | type[Exception]]:
    """Return what `count` reads give, an exception as its class."""
    found: list[bytes | type[Exception]] = []
    for _ in range(count):
        try:
            found.append(await stream.receive())
        except (EndOfStream, BrokenResourceError, ClosedResourceError) as error:
            found.append(type(error))
    return found


@pytest.mark.parametrize(("frames", "seen"), READINGS)
async def test_frames_at_the_client(frames: list[Sent], seen: list[bytes | type[Exception]]):
    async with connected(sending(*frames)) as stream:
        assert await outcomes(stream, len(seen)) == seen


@pytest.mark.parametrize(("frames", "seen"), READINGS)
async def test_frames_at_the_server(frames: list[Sent], seen: list[bytes | type[Exception]]):
    found: list[bytes | type[Exception]] = []
    over = anyio.Event()

    async def handle(context: Context) -> None:
        found.extend(await outcomes(RouterStream(context=context), len(seen)))
        over.set()

    async with called(handle) as call:
        await request_frames(call, frames)
        await over.wait()
    assert found == seen


async def test_the_end_of_a_call_that_went_well_is_an_end_at_the_client():
    async def handle(context: Context) -> None:
        await write_frames(context, [(DATA, b"a")])

    async with connected(handle) as stream:
        assert await outcomes(stream, 2) == [b"a", EndOfStream]


async def test_a_status_breaks_the_stream_and_is_told():
    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        await write_frames(context, [(DATA, b"a")])
        await context.abort(grpc.StatusCode.UNAVAILABLE, "target gone")

    async with connected(handle) as stream:
        assert await stream.receive() == b"a"
        for _ in range(2):
            with pytest.raises(BrokenResourceError, match=r"^UNAVAILABLE: target gone$"):
                await stream.receive()


async def test_an_aborted_call_after_the_half_close_is_an_end():
    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        await write_frames(context, [(DATA, b"a"), (GOAWAY, b"")])
        await context.abort(grpc.StatusCode.ABORTED, "RouterStream: aclose")

    async with connected(handle) as stream:
        assert await outcomes(stream, 3) == [b"a", EndOfStream, EndOfStream]


@pytest.mark.parametrize("way", ["half-closes the call", "cancels"])
async def test_a_client_that_vanishes_breaks_the_server_and_never_ends_it(way: str):
    found: list[bytes | type[BaseException]] = []
    over = anyio.Event()

    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        try:
            found.extend(await outcomes(RouterStream(context=context), 2))
        except anyio.get_cancelled_exc_class():
            found.append(BrokenResourceError)
            raise
        finally:
            over.set()

    async with called(handle) as call:
        await request_frames(call, [(DATA, b"a")])
        await call.initial_metadata()
        if way == "cancels":
            call.cancel()
        else:
            await call.done_writing()
        await over.wait()
    assert found[-1] is BrokenResourceError
    assert EndOfStream not in found


async def test_nine_mebibytes_in_one_send_arrive_from_the_client():
    data = random.Random(2).randbytes(9 * MIB)
    digest = hashlib.sha256()
    sizes: list[int] = []

    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        for _, payload in await frames_of(context):
            digest.update(payload)
            sizes.append(len(payload))

    async with connected(handle) as stream:
        await stream.send(data)
    assert digest.hexdigest() == hashlib.sha256(data).hexdigest()
    assert max(sizes) <= MIB


async def test_nine_mebibytes_in_one_send_arrive_from_the_server():
    data = random.Random(3).randbytes(9 * MIB)

    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        stream = RouterStream(context=context)
        await stream.send(data)
        await stream.send_eof()

    async with connected(handle) as stream:
        received = b"".join([chunk async for chunk in stream])
    assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest()


async def test_an_empty_send_is_an_empty_frame():
    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        stream = RouterStream(context=context)
        while True:
            await stream.send(await stream.receive())

    async with connected(handle) as stream:
        for data in (b"", b"a", b""):
            await stream.send(data)
            assert await stream.receive() == data


async def test_sending_to_a_far_side_that_has_closed_raises_with_its_status():
    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        await context.read()
        await context.abort(grpc.StatusCode.INTERNAL, "the target is on fire")

    async with connected(handle) as stream:
        with pytest.raises(BrokenResourceError):
            await send_and_receive(stream)
        for send in (lambda: stream.send(b"a"), lambda: stream.send(b""), stream.send_eof):
            with pytest.raises(BrokenResourceError, match=r"^INTERNAL: the target is on fire$"):
                await send()


async def send_and_receive(stream: ObjectStream[bytes]) -> None:
    await stream.send(b"go")
    await stream.receive()


async def test_sending_while_the_far_side_closes_raises():
    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        await context.read()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    async with connected(handle) as stream:
        # A write that waits when the status comes fails first, in words of gRPC's own.
        with pytest.raises(
            BrokenResourceError, match=r"^(UNAVAILABLE: gone|INTERNAL: Internal .*)$"
        ):
            await send_for_ever(stream)


async def test_a_call_that_failed_with_messages_unread_is_let_go():
    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        await write_frames(context, [(DATA, b"never read")])
        await context.read()

    async def use() -> None:
        async with connect_stream(stub_of(channel), "{}") as stream:
            with pytest.raises(BrokenResourceError):
                await send_for_ever(stream)

    async with serve_stream(handle) as channel:
        await use()
        before = len(asyncio.all_tasks())
        for _ in range(20):
            await use()
        # gRPC has a task for each call.
        with anyio.fail_after(5):
            while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110 - nothing tells
                await anyio.sleep(0.01)


async def send_for_ever(stream: ObjectStream[bytes]) -> None:
    while True:
        await stream.send(bytes(MIB))


async def test_the_server_that_sends_to_a_client_that_left_stops():
    ended: list[BaseException] = []
    over = anyio.Event()

    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        try:
            await send_for_ever(RouterStream(context=context))
        except BaseException as error:
            ended.append(error)
            raise
        finally:
            over.set()

    async with called(handle) as call:
        await call.initial_metadata()
        # The server waits, because nobody reads.
        await anyio.wait_all_tasks_blocked()
        call.cancel()
        await over.wait()
    assert isinstance(ended[0], (BrokenResourceError, anyio.get_cancelled_exc_class()))


async def test_only_one_task_sends_at_a_time():
    read = anyio.Event()

    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        await read.wait()
        await frames_of(context)

    async with connected(handle) as stream, anyio.create_task_group() as tasks:
        # More than the connection takes while nobody reads.
        tasks.start_soon(stream.send, bytes(16 * MIB))
        await anyio.wait_all_tasks_blocked()
        for send in (lambda: stream.send(b"a"), stream.send_eof):
            with pytest.raises(BusyResourceError):
                await send()
        read.set()


async def test_metadata_of_the_server_are_attributes():
    async with connected(sending(metadata=(*OPEN, ("a", "b")))) as stream:
        metadata = stream.extra(MetadataStreamAttributes.metadata)
        assert metadata["a"] == "b"
        assert metadata[STATE_KEY] == OPEN[0][1]


@pytest.mark.parametrize("metadata", [((STATE_KEY, STATE_REFUSED),), None])
async def test_a_refused_stream_raises_the_status(metadata: Sequence[tuple[str, str]] | None):
    async def handle(context: Context) -> None:
        if metadata is not None:
            await context.send_initial_metadata(metadata)
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such stream")

    async with serve_stream(handle) as channel:
        with pytest.raises(AioRpcError) as caught:
            async with connect_stream(stub_of(channel), "{}"):
                pytest.fail("the stream was not refused")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "no such stream"


def test_anything_but_a_call_is_refused():
    with pytest.raises(ValueError, match="neither a call nor a servicer context"):
        RouterStream(context=object())  # pyright: ignore[reportArgumentType] - the point
