"""Socket streams against plain sockets of the standard library."""

import errno
import socket
import struct
from pathlib import Path

import anyio
import anyio.abc
import pytest
from anyio.lowlevel import checkpoint

from jumpstarter.streams.sockets import (
    CHUNK_SIZE,
    DatagramStream,
    SocketStream,
    connect_socket,
    connect_tcp,
    connect_udp,
    connect_unix,
    format_endpoint,
)

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


def fill(stream: SocketStream) -> int:
    """Fill the kernel's buffers behind `stream`; return how many bytes they took."""
    sock = stream.extra(anyio.abc.SocketAttribute.raw_socket)
    sent = 0
    while True:
        try:
            sent += sock.send(bytes(CHUNK_SIZE))
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


async def test_connect_tcp_sends_small_writes_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with await connect_tcp(*server.getsockname()) as stream:
            sock = stream.extra(anyio.abc.SocketAttribute.raw_socket)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_connect_tcp_by_name_finds_the_family_that_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with await connect_tcp("localhost", server.getsockname()[1]) as stream:
            far, _ = server.accept()
            with far:
                await stream.send(b"x")
                assert far.recv(1) == b"x"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_refused_connect_names_the_target(host: str):
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        with pytest.raises(OSError, match=f"tcp://{host}:{port}: .*refused") as caught:
            await connect_tcp(host, port)
    assert host == "localhost" or isinstance(caught.value, ConnectionRefusedError)


@pytest.fixture
def two_addresses(monkeypatch: pytest.MonkeyPatch):
    """Let the resolver know the name `board`, at 127.0.0.2 and at 127.0.0.1."""

    async def resolve(host: str, port: int, **_: object) -> list[object]:
        assert host == "board"
        stream = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        return [(*stream, ("127.0.0.2", port)), (*stream, ("127.0.0.1", port))]

    monkeypatch.setattr(anyio, "getaddrinfo", resolve)


@pytest.mark.usefixtures("two_addresses")
async def test_connect_tcp_tries_every_address_of_a_name():
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with await connect_tcp("board", server.getsockname()[1]) as stream:
            remote = stream.extra(anyio.abc.SocketAttribute.remote_address)
            assert remote == server.getsockname()


@pytest.mark.usefixtures("two_addresses")
async def test_connect_tcp_that_every_address_refuses_names_the_target():
    with socket.socket() as unheard:
        unheard.bind(("", 0))
        port = unheard.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot connect to tcp://board:{port}: "):
            await connect_tcp("board", port)


async def test_connect_tcp_to_an_unknown_name_names_the_target():
    with pytest.raises(socket.gaierror, match=r"tcp://nowhere\.invalid:80: "):
        await connect_tcp("nowhere.invalid", 80)


async def test_connect_tcp_to_what_cannot_be_a_name_names_the_target():
    with pytest.raises(socket.gaierror, match="not a host name"):
        await connect_tcp("a" * 70 + ".é", 80)


async def test_connect_tcp_to_a_port_that_is_none_names_the_target():
    with pytest.raises(OSError, match="tcp://localhost:70000: a port is 0 to 65535"):
        await connect_tcp("localhost", 70_000)


async def test_connect_unix_to_nothing_names_the_path(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=f"unix:{tmp_path}/none"):
        await connect_unix(tmp_path / "none")


@pytest.fixture
def full_listener(tmp_path: Path):
    """A Unix listener, and its path, whose backlog has no room left."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as first:
        server.bind(path)
        server.listen(0)
        first.connect(path)
        yield server, path


async def test_connect_unix_waits_while_the_backlog_is_full(
    full_listener: tuple[socket.socket, str],
):
    server, path = full_listener
    opened = anyio.Event()

    async def connect() -> None:
        async with await connect_unix(path):
            opened.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connect)
        await checkpoint()
        assert not opened.is_set()
        server.accept()[0].close()
    assert opened.is_set()


async def test_cancelled_connect_closes_its_socket(full_listener: tuple[socket.socket, str]):
    sock = socket.socket(socket.AF_UNIX)
    with anyio.move_on_after(0) as scope:
        await connect_socket(sock, full_listener[1], "full")
    assert scope.cancelled_caught
    assert sock.fileno() == -1


def test_endpoint_puts_ipv6_in_brackets():
    assert format_endpoint("tcp", "::1", 80) == "tcp://[::1]:80"
    assert format_endpoint("udp", "board", 69) == "udp://board:69"


@pytest.fixture
def udp_peer():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


async def test_datagrams_keep_their_boundaries_and_may_be_empty(udp_peer: socket.socket):
    async with await connect_udp(*udp_peer.getsockname()) as stream:
        for item in (b"one", b"", b"three"):
            await stream.send(item)
        got = [udp_peer.recvfrom(100) for _ in range(3)]
        assert [data for data, _ in got] == [b"one", b"", b"three"]
        for item in (b"", b"answer"):
            udp_peer.sendto(item, got[0][1])
        assert [await stream.receive(), await stream.receive()] == [b"", b"answer"]


async def test_datagram_eof_sends_nothing(udp_peer: socket.socket):
    async with await connect_udp(*udp_peer.getsockname()) as stream:
        await stream.send_eof()
        await stream.send(b"after")
        assert udp_peer.recv(100) == b"after"


async def test_refused_datagram_is_broken_and_the_stream_goes_on(udp_peer: socket.socket):
    address = udp_peer.getsockname()
    udp_peer.close()
    async with await connect_udp(*address) as stream:
        await stream.send(b"to nobody")
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as revived:
            revived.bind(address)
            await stream.send(b"again")
            assert revived.recv(100) == b"again"


async def test_datagram_too_large_is_refused(udp_peer: socket.socket):
    async with await connect_udp(*udp_peer.getsockname()) as stream:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number below is the match
            await stream.send(bytes(70_000))
        assert caught.value.errno == errno.EMSGSIZE


async def test_closing_a_datagram_stream_wakes_its_receiver(udp_peer: socket.socket):
    stream: DatagramStream = await connect_udp(*udp_peer.getsockname())
    async with anyio.create_task_group() as tasks:

        async def wait() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await stream.receive()

        tasks.start_soon(wait)
        await checkpoint()
        await stream.aclose()
    with pytest.raises(anyio.ClosedResourceError):
        await stream.send_eof()
