"""How a router stream ends: what was sent arrives, a reset is seen, and nothing waits for ever."""

import hashlib
import random

import anyio
import grpc
import pytest
from anyio import BrokenResourceError, BusyResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ObjectStream
from grpc.aio import Channel

from jumpstarter.rpc import router_stream
from jumpstarter.rpc.conftest import (
    DATA,
    GOAWAY,
    OPEN,
    RST,
    Context,
    Handler,
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

MIB = 1 << 20
OLD = ()
"""Initial metadata of release 0.9.0."""


class Recorder:
    """Serves a stream, reads it to its end when told to, and keeps what came."""

    def __init__(self, *first: Sent, metadata: tuple[tuple[str, str], ...] = OPEN) -> None:
        self.received = bytearray()
        self.ends: list[type[Exception]] = []
        self.may_read = anyio.Event()
        self.over = anyio.Event()
        self._first = first
        self._metadata = metadata

    async def __call__(self, context: Context) -> None:
        await context.send_initial_metadata(self._metadata)
        await write_frames(context, self._first)
        await self.may_read.wait()
        stream = RouterStream(context=context)
        try:
            while True:
                self.received += await stream.receive()
        except (EndOfStream, BrokenResourceError) as error:
            self.ends.append(type(error))
        self.over.set()
        if self._metadata == OLD:
            # It keeps the call open until the client ends it.
            await anyio.sleep_forever()


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the waits of a close too short to be waited for."""
    monkeypatch.setattr(router_stream, "CLOSE_GRACE", 0.2)
    monkeypatch.setattr(router_stream, "OLD_CLOSE_GRACE", 0.2)


async def test_a_half_close_that_nobody_knows_more_of_is_seen_by_grpc_too():
    """A router reads no frames; it would hold the stream of one that left before anybody came."""
    got: list[Sent] = []
    over = anyio.Event()

    async def handle(context: Context) -> None:
        got.extend(await frames_of(context))
        over.set()
        await anyio.sleep_forever()

    async with called(handle) as call:
        stream = RouterStream(context=call)
        await stream.send_eof()
        await over.wait()
        assert got == [(GOAWAY, b"")]


@pytest.mark.parametrize("ended", [False, True])
async def test_closing_delivers_what_was_sent_to_a_reader_that_is_late(ended: bool):
    peer = Recorder()
    async with connected(peer) as stream:
        await stream.send(b"x" * 4000)
        if ended:
            await stream.send_eof()
        peer.may_read.set()
        await stream.aclose()
        assert bytes(peer.received) == b"x" * 4000
        assert peer.ends == [EndOfStream]


@pytest.mark.parametrize("metadata", [OLD, OPEN])
async def test_closing_under_a_reader_delivers_what_was_sent(metadata: tuple[tuple[str, str], ...]):
    """The reader is told, and does not break the stream on its way out."""
    peer, told = Recorder(metadata=metadata), anyio.Event()
    async with connected(peer) as stream, anyio.create_task_group() as tasks:

        async def read() -> None:
            with pytest.raises(ClosedResourceError):
                await stream.receive()
            told.set()

        tasks.start_soon(read)
        await stream.send(b"x" * 4000)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(stream.aclose)
        await anyio.wait_all_tasks_blocked()
        peer.may_read.set()
        await peer.over.wait()
    assert bytes(peer.received) == b"x" * 4000
    assert peer.ends == [EndOfStream]
    assert told.is_set()


async def test_a_second_reader_is_refused():
    async with connected(sending()) as stream, anyio.create_task_group() as tasks:
        tasks.start_soon(stream.receive)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BusyResourceError):
            await stream.receive()
        tasks.cancel_scope.cancel()


async def test_closing_delivers_megabytes():
    data = random.Random(4).randbytes(8 * MIB)
    peer = Recorder()
    peer.may_read.set()
    async with connected(peer) as stream:
        await stream.send(data)
    assert hashlib.sha256(peer.received).digest() == hashlib.sha256(data).digest()
    assert peer.ends == [EndOfStream]


async def test_closing_drops_what_the_far_side_still_sends():
    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        stream = RouterStream(context=context)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send_for_ever, stream)
            with pytest.raises(EndOfStream):
                await stream.receive()
            await stream.wait_released()
            tasks.cancel_scope.cancel()
        released.set()

    released = anyio.Event()
    async with connected(handle) as stream:
        await stream.receive()
    assert released.is_set()


async def send_for_ever(stream: ObjectStream[bytes]) -> None:
    while True:
        await stream.send(bytes(MIB))


async def test_a_closed_stream_can_be_closed_again_and_nothing_else():
    async with connected(sending()) as stream:
        await stream.aclose()
        await stream.aclose()
        for use in (lambda: stream.send(b"a"), stream.receive, stream.send_eof):
            with pytest.raises(ClosedResourceError):
                await use()


async def test_sending_after_the_own_end_is_refused_and_receiving_goes_on():
    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        stream = RouterStream(context=context)
        with pytest.raises(EndOfStream):
            await stream.receive()
        await stream.send(b"answer")
        await stream.send_eof()

    async with connected(handle) as stream:
        await stream.send_eof()
        await stream.send_eof()
        with pytest.raises(ClosedResourceError):
            await stream.send(b"a")
        assert await stream.receive() == b"answer"


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("metadata", [OLD, OPEN])
async def test_a_far_side_that_never_ends_the_call_is_not_waited_for(
    metadata: tuple[tuple[str, str], ...],
):
    async def handle(context: Context) -> None:
        await context.send_initial_metadata(metadata)
        await anyio.sleep_forever()

    async with connected(handle) as stream:
        with anyio.fail_after(2):
            await stream.aclose()


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize(
    "first", [(), ((DATA, b"greeting"), (GOAWAY, b""))], ids=["open", "half-closed"]
)
@pytest.mark.parametrize("ended", [False, True])
async def test_closing_delivers_to_release_0_9_0(first: tuple[Sent, ...], ended: bool):
    peer = Recorder(*first, metadata=OLD)
    async with connected(peer) as stream:
        if first:
            assert [chunk async for chunk in stream] == [b"greeting"]
        await stream.send(b"x" * 4000)
        if ended:
            await stream.send_eof()
        peer.may_read.set()
        await stream.aclose()
    assert bytes(peer.received) == b"x" * 4000
    assert peer.ends == [EndOfStream]


async def test_release_0_9_0_is_never_sent_what_it_does_not_know():
    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OLD)
        frames.extend(await frames_of(context))

    frames: list[Sent] = []
    async with connected(handle) as stream:
        await stream.send(b"a")
        await stream.send_many([b"b", b"c"])
    assert frames == [(DATA, b"a"), (DATA, b"b"), (DATA, b"c"), (GOAWAY, b"")]


async def test_a_stream_that_both_ended_is_closed_at_once():
    # Nothing is left to be told; the default grace would be noticed.
    async with connected(sending((GOAWAY, b""), metadata=OLD)) as stream:
        await stream.send_eof()
        with pytest.raises(EndOfStream):
            await stream.receive()
        with anyio.fail_after(0.9):
            await stream.aclose()


@pytest.mark.parametrize("way", ["reset", "leaving with an exception"])
async def test_a_reset_breaks_the_far_side(way: str):
    peer = Recorder()
    peer.may_read.set()
    async with serve_stream(counted(peer)) as channel:
        with pytest.raises(ZeroDivisionError):
            await send_and_leave(channel, reset=way == "reset")
        await peer.over.wait()
    assert peer.ends == [BrokenResourceError]


async def send_and_leave(channel: Channel, *, reset: bool) -> None:
    async with connect_stream(stub_of(channel), "{}") as stream:
        assert isinstance(stream, RouterStream)
        await stream.send(b"a")
        if reset:
            await stream.reset()
        raise ZeroDivisionError


def counted(peer: Recorder) -> Handler:
    """Return `peer` as a handler that counts being cancelled as being broken."""

    async def handle(context: Context) -> None:
        try:
            await peer(context)
        except anyio.get_cancelled_exc_class():
            peer.ends.append(BrokenResourceError)
            peer.over.set()
            raise

    return handle


async def test_a_reset_ends_the_own_reader():
    async with connected(sending()) as stream, anyio.create_task_group() as tasks:

        async def read() -> None:
            with pytest.raises(ClosedResourceError):
                await stream.receive()

        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await stream.reset()


async def test_the_server_learns_that_its_client_is_done_with_both_directions():
    async def handle(context: Context) -> None:
        stream = RouterStream(context=context)
        with pytest.raises(EndOfStream):
            await stream.receive()
        assert stream.half_closed
        await stream.wait_released()
        released.set()

    released = anyio.Event()
    async with called(handle) as call:
        await request_frames(call, [(GOAWAY, b""), (RST, b"")])
        assert await frames_of(call) == []
    assert released.is_set()


async def test_the_end_of_the_requests_after_the_half_close_releases_nothing():
    async def handle(context: Context) -> None:
        stream = RouterStream(context=context)
        with pytest.raises(EndOfStream):
            await stream.receive()
        with anyio.move_on_after(0.05) as waiting:
            await stream.wait_released()
        await stream.send(b"still here")
        assert waiting.cancelled_caught

    async with called(handle) as call:
        await request_frames(call, [(GOAWAY, b"")])
        await call.done_writing()
        assert await frames_of(call) == [(DATA, b"still here")]


@pytest.mark.parametrize("size", [1, 1 << 16, MIB])
async def test_a_write_that_fails_says_what_the_server_said(size: int):
    """gRPC only says that it failed, until it has read the status."""

    async def refuse(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        await context.read()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the target has gone")

    async def write_on(stream: RouterStream) -> None:
        while True:
            await stream.send(bytes(size))

    for _ in range(20):
        async with connected(refuse) as stream:
            with pytest.raises(BrokenResourceError, match=r"^UNAVAILABLE: the target has gone$"):
                await write_on(stream)


async def test_a_half_close_that_the_server_answers_by_ending_the_call_is_no_failure():
    """The end may arrive before this end's write has returned."""

    async def handle(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        await context.read()

    for _ in range(50):
        async with connected(handle) as stream:
            await stream.send_eof()
