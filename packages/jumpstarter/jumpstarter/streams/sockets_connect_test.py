"""Connecting to plain sockets, and failing to."""

import socket
from pathlib import Path

import anyio
import anyio.abc
import pytest
from anyio.lowlevel import checkpoint

from jumpstarter.streams.sockets import (
    connect_socket,
    connect_tcp,
    connect_unix,
    format_endpoint,
)


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


async def test_connect_tcp_waits_for_a_host_that_is_silent_at_first():
    opened = anyio.Event()
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()

        async def connect() -> None:
            async with await connect_tcp(*address):
                opened.set()

        # One connection finds room; the kernel does not answer the next before there is some again.
        with socket.create_connection(address), anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(connect)
                await checkpoint()
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
