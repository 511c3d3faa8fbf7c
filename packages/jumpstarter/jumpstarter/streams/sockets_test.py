"""Socket streams against plain sockets of the standard library."""

import os
import socket
import struct

import anyio
import anyio.abc
import pytest
from anyio.lowlevel import checkpoint

from jumpstarter.streams.duplex import CHUNK_SIZE
from jumpstarter.streams.sockets import SocketStream

Pair = tuple[SocketStream, socket.socket]


@pytest.fixture
def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    with near, far:
        yield SocketStream(near), far


@pytest.fixture
def unix_pair():
    near, far = socket.socketpair()
    with near, far:
        yield SocketStream(near), far


def raw(stream: SocketStream) -> socket.socket:
    return stream.extra(anyio.abc.SocketAttribute.raw_socket)


def fill(stream: SocketStream) -> int:
    """Fill the kernel's buffers behind `stream`; return how many bytes they took."""
    sent = 0
    while True:
        try:
            sent += raw(stream).send(bytes(CHUNK_SIZE))
        except BlockingIOError:
            return sent


async def test_receive_returns_what_has_arrived(tcp_pair: Pair):
    stream, far = tcp_pair
    far.sendall(b"hello")
    assert await stream.receive() == b"hello"


async def test_receive_keeps_to_max_bytes(tcp_pair: Pair):
    stream, far = tcp_pair
    far.sendall(b"hello")
    assert await stream.receive(2) == b"he"
    assert await stream.receive(100) == b"llo"


async def test_receive_refuses_zero_bytes(tcp_pair: Pair):
    with pytest.raises(ValueError, match="at least 1"):
        await tcp_pair[0].receive(0)


async def test_receive_grows_beyond_the_first_read(unix_pair: Pair):
    stream, far = unix_pair
    far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    payload = bytes(range(256)) * 600
    sizes: list[int] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, far.sendall, payload)
        while sum(sizes) < len(payload):
            sizes.append(len(await stream.receive()))
    assert max(sizes) > 1 << 16


async def test_receive_after_the_peers_end_is_end_of_stream(tcp_pair: Pair):
    stream, far = tcp_pair
    far.shutdown(socket.SHUT_WR)
    for _ in range(2):
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()


async def test_receive_after_a_reset_is_broken(tcp_pair: Pair):
    stream, far = tcp_pair
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()
    with pytest.raises(anyio.BrokenResourceError):
        await stream.receive()


async def test_second_receiver_is_refused(tcp_pair: Pair):
    stream, far = tcp_pair
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.receive)
        await checkpoint()
        with pytest.raises(anyio.BusyResourceError):
            await stream.receive()
        far.sendall(b"x")


async def test_send_larger_than_the_buffers_arrives_whole(tcp_pair: Pair):
    stream, far = tcp_pair
    payload = bytes(range(256)) * (64 << 10)

    def drain() -> bytes:
        return b"".join(iter(lambda: far.recv(CHUNK_SIZE), b""))

    received = b""

    async def read() -> None:
        nonlocal received
        received = await anyio.to_thread.run_sync(drain)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await stream.send(payload)
        await stream.send_eof()
    assert received == payload


async def test_send_of_nothing_sends_nothing(tcp_pair: Pair):
    stream, far = tcp_pair
    await stream.send(b"")
    await stream.send_eof()
    assert far.recv(10) == b""


async def test_second_sender_is_refused(unix_pair: Pair):
    stream, far = unix_pair
    held = fill(stream)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.send, b"waits")
        await checkpoint()
        with pytest.raises(anyio.BusyResourceError):
            await stream.send(b"x")
        while held > 0:
            held -= len(far.recv(held))
    assert far.recv(100) == b"waits"


async def test_send_to_a_peer_that_left_is_broken(unix_pair: Pair):
    stream, far = unix_pair
    far.close()
    with pytest.raises(anyio.BrokenResourceError):
        await stream.send(b"x")


async def test_send_after_send_eof_is_closed_and_receive_goes_on(tcp_pair: Pair):
    stream, far = tcp_pair
    await stream.send_eof()
    await stream.send_eof()
    with pytest.raises(anyio.ClosedResourceError):
        await stream.send(b"x")
    far.sendall(b"answer")
    assert await stream.receive() == b"answer"


async def test_send_eof_to_a_peer_that_reset_is_broken(tcp_pair: Pair):
    stream, far = tcp_pair
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()
    with pytest.raises(anyio.BrokenResourceError):
        await stream.receive()
    with pytest.raises(anyio.BrokenResourceError):
        await stream.send_eof()


@pytest.mark.parametrize("abrupt", [False, True])
async def test_closing_wakes_a_waiting_receiver(tcp_pair: Pair, abrupt: bool):
    stream, _ = tcp_pair
    woken = anyio.Event()

    async def wait() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await stream.receive()
        woken.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await checkpoint()
        await (stream.reset() if abrupt else stream.aclose())
    assert woken.is_set()


async def test_one_that_is_woken_by_a_close_leaves_the_next_socket_of_that_number_alone(
    tcp_pair: Pair, unix_pair: Pair
):
    stream, _ = tcp_pair
    other, far = unix_pair
    number = raw(stream).fileno()

    async def wait() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await stream.receive()
        far.send(b"x")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await checkpoint()
            await stream.aclose()
            with socket.socket(fileno=os.dup2(raw(other).fileno(), number)) as successor:
                assert await SocketStream(successor).receive() == b"x"


async def test_closing_wakes_a_waiting_sender(unix_pair: Pair):
    stream, _ = unix_pair
    fill(stream)
    woken = anyio.Event()

    async def wait() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await stream.send(b"x")
        woken.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await checkpoint()
        await stream.aclose()
    assert woken.is_set()


async def test_closed_stream_refuses_everything(tcp_pair: Pair):
    stream, _ = tcp_pair
    await stream.aclose()
    await stream.aclose()
    await stream.reset()
    for operation in (stream.receive(), stream.send(b"x"), stream.send_eof()):
        with pytest.raises(anyio.ClosedResourceError):
            await operation


async def test_close_delivers_what_was_sent_and_then_the_end(tcp_pair: Pair):
    stream, far = tcp_pair
    await stream.send(b"last words")
    await stream.aclose()
    assert far.recv(100) == b"last words"
    assert far.recv(100) == b""


async def test_reset_reaches_a_tcp_peer_as_a_reset(tcp_pair: Pair):
    stream, far = tcp_pair
    await stream.reset()
    with pytest.raises(ConnectionResetError):
        far.recv(1)


async def test_stream_that_never_waits_lets_others_run(unix_pair: Pair):
    stream, far = unix_pair
    far.sendall(bytes(1000))
    ran = False

    async def other() -> None:
        nonlocal ran
        ran = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        for _ in range(100):
            await stream.receive(10)
            if ran:
                break
        assert ran


async def test_waiting_receive_can_be_cancelled_and_loses_nothing(tcp_pair: Pair):
    stream, far = tcp_pair
    with anyio.move_on_after(0):
        await stream.receive()
    far.sendall(b"later")
    assert await stream.receive() == b"later"


async def test_extra_attributes_name_both_ends(tcp_pair: Pair):
    stream, far = tcp_pair
    assert stream.extra(anyio.abc.SocketAttribute.remote_address) == far.getsockname()
    assert stream.extra(anyio.abc.SocketAttribute.local_port) == far.getpeername()[1]
