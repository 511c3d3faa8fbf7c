"""Forwarding between real connections: every byte, every end and every failure arrives."""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio import to_thread
from anyio.abc import ObjectStream
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jumpstarter.streams.forwarding import copy_stream, forward_stream, pump, reset_stream
from jumpstarter.streams.listeners import (
    ConnectionHandler,
    TemporaryTcpListener,
    TemporaryUnixListener,
)
from jumpstarter.streams.memory import MemoryStream, create_memory_stream
from jumpstarter.streams.sockets import SocketStream, connect_tcp, connect_udp, connect_unix

Script = list[tuple[int, bool]]
"""What one side sends: sizes of chunks, and whether it lets others run before each."""

scripts = st.lists(
    st.tuples(st.one_of(st.integers(1, 100), st.integers(1, 1 << 20)), st.booleans()), max_size=6
)


def content(script: Script, seed: int) -> list[bytes]:
    """Return chunks of the sizes in `script` whose bytes tell their place."""
    pattern = bytes((index * 7 + seed) % 251 for index in range(251))
    return [(pattern * (size // 251 + 1))[:size] for size, _ in script]


async def perform(stream: SocketStream, script: Script, seed: int) -> None:
    for chunk, (_, pause) in zip(content(script, seed), script, strict=True):
        if pause:
            await checkpoint()
        await stream.send(chunk)
    await stream.send_eof()


async def collect(stream: SocketStream) -> bytes:
    return b"".join([chunk async for chunk in stream])


@asynccontextmanager
async def forwarded(target: ConnectionHandler) -> AsyncGenerator[SocketStream]:
    """Yield a connection to `target` that leads through a TCP forward over a Unix socket."""

    async def to_unix(near: SocketStream) -> None:
        async with forward_stream(near, await connect_unix(path)):
            pass

    async def to_tcp(near: SocketStream) -> None:
        async with near, await connect_tcp(*address) as far:
            await pump(near, far)

    async with (
        TemporaryTcpListener(target) as address,
        TemporaryUnixListener(to_tcp) as path,
        TemporaryTcpListener(to_unix) as entry,
        await connect_tcp(*entry) as stream,
    ):
        yield stream


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(there=scripts, back=scripts)
async def test_every_byte_and_both_ends_arrive(there: Script, back: Script):
    seen_by_target: list[bytes] = []

    async def target(stream: SocketStream) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(perform, stream, back, 1)
            seen_by_target.append(await collect(stream))
        done.set()

    done = anyio.Event()
    seen: list[bytes] = []
    async with forwarded(target) as stream, anyio.create_task_group() as tasks:
        tasks.start_soon(perform, stream, there, 2)
        seen.append(await collect(stream))
        await done.wait()
    assert seen_by_target == [b"".join(content(there, 2))]
    assert seen == [b"".join(content(back, 1))]


async def test_half_close_leaves_the_other_direction_open():
    async def count(stream: SocketStream) -> None:
        size = len(await collect(stream))
        await stream.send(b"%d bytes" % size)

    async with forwarded(count) as stream:
        await stream.send(bytes(1000))
        await stream.send_eof()
        assert await collect(stream) == b"1000 bytes"


async def test_target_that_ends_first_can_still_be_sent_to():
    rest: list[bytes] = []
    done = anyio.Event()

    async def greet(stream: SocketStream) -> None:
        await stream.send(b"hello")
        await stream.send_eof()
        rest.append(await collect(stream))
        done.set()

    async with forwarded(greet) as stream:
        assert await collect(stream) == b"hello"
        await stream.send(b"late")
        await stream.send_eof()
        await done.wait()
    assert rest == [b"late"]


async def test_reset_of_the_target_reaches_the_client_as_a_reset():
    async def target(stream: SocketStream) -> None:
        await stream.receive()
        await stream.reset()

    async def relay(near: SocketStream) -> None:
        async with near, await connect_tcp(*address) as far:
            with pytest.raises(anyio.BrokenResourceError):
                await pump(near, far)

    async with TemporaryTcpListener(target) as address, TemporaryTcpListener(relay) as entry:
        with socket.create_connection(entry) as plain:
            plain.sendall(b"x")
            with pytest.raises(ConnectionResetError):
                await to_thread.run_sync(plain.recv, 1)


async def test_reset_of_the_client_reaches_the_target_as_a_reset():
    failed = anyio.Event()

    async def target(stream: SocketStream) -> None:
        with pytest.raises(anyio.BrokenResourceError):
            await collect(stream)
        failed.set()

    async def relay(near: SocketStream) -> None:
        async with forward_stream(near, await connect_tcp(*address)):
            pass

    async with TemporaryTcpListener(target) as address, TemporaryTcpListener(relay) as entry:
        with socket.create_connection(entry) as plain:
            plain.sendall(b"x")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await failed.wait()


async def test_failure_ends_a_direction_that_is_idle():
    near, client = create_memory_stream()
    far, target = create_memory_stream()
    await target.reset()
    with pytest.raises(anyio.BrokenResourceError):
        await pump(near, far)
    with pytest.raises(anyio.BrokenResourceError):
        await client.receive()


async def test_peer_that_left_while_data_comes_breaks_the_source():
    near, client = create_memory_stream()
    far, target = create_memory_stream()
    await client.aclose()
    await target.send(b"for nobody")
    with pytest.raises(anyio.BrokenResourceError):
        await pump(near, far)
    with pytest.raises(anyio.BrokenResourceError):
        await target.send(b"more for nobody")


async def test_forward_closes_both_and_waits_for_both_ends():
    near, client = create_memory_stream()
    far, target = create_memory_stream()
    async with forward_stream(near, far):
        await client.send(b"question")
        assert await target.receive() == b"question"
        await client.send_eof()
        await target.send(b"answer")
        await target.send_eof()
    assert await client.receive() == b"answer"
    for end in (client, target):
        with pytest.raises(anyio.EndOfStream):
            await end.receive()
        with pytest.raises((anyio.BrokenResourceError, anyio.ClosedResourceError)):
            await end.send(b"x")


async def test_failure_cancels_the_body_of_a_forward():
    near, client = create_memory_stream()
    far, _ = create_memory_stream()
    with pytest.raises(anyio.BrokenResourceError):
        async with forward_stream(near, far), client:
            await fail_and_stay(client)


async def fail_and_stay(stream: MemoryStream) -> None:
    await stream.reset()
    await anyio.sleep_forever()


@pytest.mark.parametrize("error", [KeyError, SystemExit])
async def test_exception_of_the_body_resets_both_and_comes_out_as_itself(
    error: type[BaseException],
):
    near, client = create_memory_stream()
    far, target = create_memory_stream()
    with pytest.raises(error):
        async with forward_stream(near, far):
            raise error
    for end in (client, target):
        with pytest.raises(anyio.BrokenResourceError):
            await end.receive()


async def test_failure_after_the_body_leaves_no_cancellation_with_its_task():
    near, _client = create_memory_stream()
    far, target = create_memory_stream()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(target.reset)
        with pytest.raises(anyio.BrokenResourceError):
            async with forward_stream(near, far):
                pass
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0


async def test_cancelled_forward_closes_both():
    near, client = create_memory_stream()
    far, target = create_memory_stream()
    with anyio.move_on_after(0.01):
        async with forward_stream(near, far):
            pass
    for end in (client, target):
        with pytest.raises(anyio.EndOfStream):
            await end.receive()


class OddStream(ObjectStream[bytes]):
    """A stream of another package: receives `chunks` and fails as it is told to."""

    def __init__(self, chunks: list[bytes], *, eof_error: Exception | None = None) -> None:
        self.chunks = chunks
        self.eof_error = eof_error
        self.sent: list[bytes] = []
        self.closed = False

    async def receive(self) -> bytes:
        if not self.chunks:
            raise anyio.EndOfStream
        return self.chunks.pop(0)

    async def send(self, item: bytes) -> None:
        self.sent.append(item)

    async def send_eof(self) -> None:
        if self.eof_error is not None:
            raise self.eof_error

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    "error",
    [
        OSError("not connected"),
        NotImplementedError(),
        anyio.BrokenResourceError(),
        anyio.ClosedResourceError(),
    ],
)
async def test_error_on_end_of_file_is_no_failure(error: Exception):
    near, client = create_memory_stream()
    odd = OddStream([b"from odd"], eof_error=error)
    async with forward_stream(near, odd):
        await client.send(b"to odd")
        await client.send_eof()
    assert odd.sent == [b"to odd"]
    assert await client.receive() == b"from odd"


async def test_stream_without_send_eof_is_forwarded_to():
    near, client = create_memory_stream()
    odd = OddStream([])
    odd.send_eof = None  # pyright: ignore[reportAttributeAccessIssue] - as good as not there
    await client.send(b"x")
    await client.send_eof()
    await pump(near, odd)
    assert odd.sent == [b"x"]


async def test_unexpected_exception_of_a_stream_resets_the_other_and_goes_on():
    class Faulty(OddStream):
        async def receive(self) -> bytes:
            raise LookupError("a fault in the driver")

    near, client = create_memory_stream()
    with pytest.raises(LookupError, match="a fault in the driver"):
        await pump(near, Faulty([]))
    with pytest.raises(anyio.BrokenResourceError):
        await client.receive()


async def test_broken_pump_says_why():
    class Faulty(OddStream):
        async def receive(self) -> bytes:
            raise OSError("the cable is out")

    near, _ = create_memory_stream()
    with pytest.raises(anyio.BrokenResourceError, match="the cable is out") as caught:
        await pump(near, Faulty([]))
    assert isinstance(caught.value.__cause__, OSError)


async def test_empty_datagrams_are_copied():
    near, client = create_memory_stream()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        async with await connect_udp(*peer.getsockname()) as far:
            for item in (b"a", b"", b"b"):
                await client.send(item)
            await client.send_eof()
            await copy_stream(far, near)
            assert [peer.recv(10) for _ in range(3)] == [b"a", b"", b"b"]


async def test_reset_of_a_stream_of_anyio_reaches_its_peer_as_a_reset():
    async def target(stream: SocketStream) -> None:
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()
        failed.set()

    failed = anyio.Event()
    async with TemporaryTcpListener(target) as address:
        stream = await anyio.connect_tcp(*address)
        await reset_stream(stream)
        await failed.wait()


async def test_reset_of_a_stream_that_cannot_closes_it():
    odd = OddStream([])
    await reset_stream(odd)
    assert odd.closed
