"""Listeners, connected to with plain sockets."""

import errno
import logging
import os
import resource
import socket
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from jumpstarter.model.errors import JumpstarterException
from jumpstarter.streams import listeners
from jumpstarter.streams.listeners import (
    TemporarySocket,
    TemporaryTcpListener,
    TemporaryUnixListener,
)
from jumpstarter.streams.sockets import SocketStream, connect_tcp, connect_unix


async def echo(stream: SocketStream) -> None:
    async for chunk in stream:
        await stream.send(chunk)
    await stream.send_eof()


async def ask(stream: SocketStream, question: bytes) -> bytes:
    async with stream:
        await stream.send(question)
        return await stream.receive()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


async def test_address_is_ready_when_entered_and_gone_when_left():
    async with TemporaryTcpListener(echo) as address:
        with socket.create_connection(address) as plain:
            plain.sendall(b"now")
            assert await to_thread.run_sync(plain.recv, 10) == b"now"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address).close()


async def test_connections_are_served_at_the_same_time():
    everyone = anyio.Event()
    present = 0

    async def handler(stream: SocketStream) -> None:
        nonlocal present
        present += 1
        if present == 200:
            everyone.set()
        await everyone.wait()
        await stream.send(b"all here")

    async def visit() -> None:
        async with await connect_tcp(*address) as stream:
            assert await stream.receive() == b"all here"

    async with TemporaryTcpListener(handler) as address, anyio.create_task_group() as tasks:
        for _ in range(200):
            tasks.start_soon(visit)


async def test_default_is_ipv4_loopback_on_a_free_port():
    async with TemporaryTcpListener(echo) as (host, port):
        assert host == "127.0.0.1"
        assert port > 0


async def test_given_port_is_used_and_names_resolve():
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        port = finder.getsockname()[1]
    async with TemporaryTcpListener(echo, local_host="127.0.0.1", local_port=port) as address:
        assert address == ("127.0.0.1", port)
        assert await ask(await connect_tcp("127.0.0.1", port), b"x") == b"x"


@needs_ipv6
async def test_ipv6_address_can_be_connected_to():
    async with TemporaryTcpListener(echo, "::1", 0, socket.AF_INET6) as address:
        with socket.socket(socket.AF_INET6) as plain:
            plain.connect(address)
            assert address[0] == "::1"


async def test_localhost_is_every_address_that_it_has():
    hosts = {str(info[4][0]) for info in await anyio.getaddrinfo("localhost", 0)}
    async with TemporaryTcpListener(echo, local_host="localhost") as address:
        for host in hosts:
            assert await ask(await connect_tcp(host, address[1]), b"x") == b"x"


@needs_ipv6
async def test_no_host_means_every_interface_of_both_families_on_one_port():
    async with TemporaryTcpListener(echo, local_host=None) as address:
        assert address[0] == "0.0.0.0"  # noqa: S104 - this is what the test asks for
        for host in ("127.0.0.1", "::1"):
            assert await ask(await connect_tcp(host, address[1]), b"x") == b"x"


@needs_ipv6
async def test_family_chooses_among_the_addresses():
    async with TemporaryTcpListener(echo, local_host=None, family=socket.AF_INET6) as address:
        assert address[0] == "::"
        assert await ask(await connect_tcp("::1", address[1]), b"x") == b"x"
        with pytest.raises(ConnectionRefusedError):
            await connect_tcp("127.0.0.1", address[1])


async def test_taken_port_is_an_error_that_names_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on tcp://127.0.0.1:{port}: ") as caught:
            async with TemporaryTcpListener(echo, local_port=port):
                pass
    assert caught.value.errno == errno.EADDRINUSE


async def test_without_reuse_port_a_second_listener_is_refused():
    async with TemporaryTcpListener(echo, reuse_port=False) as address:
        with pytest.raises(OSError, match="cannot listen"):
            async with TemporaryTcpListener(echo, local_port=address[1], reuse_port=False):
                pass


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1"])
async def test_foreign_host_is_an_error_that_names_it(host: str):
    with pytest.raises(OSError, match=f"cannot listen on tcp://{host}:0: "):
        async with TemporaryTcpListener(echo, local_host=host):
            pass


async def test_impossible_port_is_an_error_that_names_it():
    with pytest.raises(OSError, match=r"tcp://127\.0\.0\.1:70000: a port is 0 to 65535"):
        async with TemporaryTcpListener(echo, local_port=70_000):
            pass


async def test_failing_handler_resets_its_connection_and_the_listener_goes_on(
    caplog: pytest.LogCaptureFixture,
):
    async def handler(stream: SocketStream) -> None:
        if await stream.receive() == b"bad":
            raise RuntimeError("a fault in the handler")
        await stream.send(b"fine")

    async with TemporaryTcpListener(handler) as address:
        async with await connect_tcp(*address) as stream:
            await stream.send(b"bad")
            with pytest.raises(anyio.BrokenResourceError):
                await stream.receive()
        assert "a fault in the handler" in caplog.text
        assert await ask(await connect_tcp(*address), b"good") == b"fine"


async def test_broken_connection_is_no_traceback(caplog: pytest.LogCaptureFixture):
    ended = anyio.Event()

    async def handler(stream: SocketStream) -> None:
        try:
            while True:
                await stream.receive()
        finally:
            ended.set()

    with caplog.at_level(logging.INFO):
        async with TemporaryTcpListener(handler) as address:
            stream = await connect_tcp(*address)
            await stream.reset()
            await ended.wait()
    assert "BrokenResourceError" in caplog.text
    assert "Traceback" not in caplog.text


async def test_error_made_for_users_is_one_line(caplog: pytest.LogCaptureFixture):
    async def handler(_: SocketStream) -> None:
        raise JumpstarterException("the board is off: switch it on")

    async with TemporaryTcpListener(handler) as address, await connect_tcp(*address) as stream:
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()
    assert [record.getMessage() for record in caplog.records] == [
        "connection reset: the board is off: switch it on"
    ]
    assert "Traceback" not in caplog.text


async def test_what_a_handler_leaves_open_is_closed():
    async def handler(stream: SocketStream) -> None:
        await stream.send(b"bye")

    async with TemporaryTcpListener(handler) as address, await connect_tcp(*address) as stream:
        assert [chunk async for chunk in stream] == [b"bye"]


async def test_leaving_cancels_handlers_and_closes_their_connections():
    started = anyio.Event()
    cancelled = False

    async def handler(stream: SocketStream) -> None:
        nonlocal cancelled
        started.set()
        try:
            await stream.receive()
        except anyio.get_cancelled_exc_class():
            cancelled = True
            raise

    async with TemporaryTcpListener(handler) as address:
        stream = await connect_tcp(*address)
        await started.wait()
    assert cancelled
    async with stream:
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()


async def test_exception_of_the_body_comes_out_as_itself():
    with pytest.raises(KeyError):
        async with TemporaryTcpListener(echo):
            raise KeyError


async def test_out_of_descriptors_only_delays(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(listeners, "EXHAUSTED_PAUSE", 0.01)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with TemporaryTcpListener(echo) as address, await connect_tcp(*address) as spare:
        await spare.send(b"served")
        await spare.receive()
        with socket.socket() as plain:
            plain.settimeout(10)
            resource.setrlimit(resource.RLIMIT_NOFILE, (plain.fileno() + 1, hard))
            try:
                filler = fill_descriptors()
                plain.connect(address)
                # An answered question: the listener's turn has come and gone in between.
                await spare.send(b"x")
                await spare.receive()
                assert "cannot accept" in caplog.text
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in filler:
                os.close(descriptor)
            plain.sendall(b"patient")
            assert await to_thread.run_sync(plain.recv, 10) == b"patient"


def fill_descriptors() -> list[int]:
    """Take every descriptor that is left; return them."""
    taken: list[int] = []
    while True:
        try:
            taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return taken


def test_temporary_socket_is_private_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with TemporarySocket() as path:
        assert path.name == "socket"
        assert path.parent.parent == tmp_path
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.parent.name.startswith("jumpstarter-")
        path.touch()
    assert list(tmp_path.iterdir()) == []


def test_temporary_socket_does_without_the_runtime_directory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nonexistent")
    with TemporarySocket() as path:
        assert path.parent.is_dir()


async def test_unix_listener_serves_a_temporary_path_and_removes_it():
    async with TemporaryUnixListener(echo) as path:
        assert await ask(await connect_unix(path), b"hello") == b"hello"
    assert not path.parent.exists()


async def test_unix_listener_uses_the_given_path_and_removes_it(tmp_path: Path):
    async with TemporaryUnixListener(echo, path=tmp_path / "mine") as path:
        assert path == tmp_path / "mine"
        assert await ask(await connect_unix(path), b"hello") == b"hello"
    assert os.listdir(tmp_path) == []


async def test_unix_listener_replaces_an_abandoned_socket(tmp_path: Path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(path))
    async with TemporaryUnixListener(echo, path=path):
        assert await ask(await connect_unix(path), b"hello") == b"hello"


async def test_unix_listener_leaves_a_socket_in_use_alone(tmp_path: Path):
    path = tmp_path / "s"
    async with TemporaryUnixListener(echo, path=path):
        with pytest.raises(OSError, match=f"cannot listen on unix:{path}: ") as caught:
            async with TemporaryUnixListener(echo, path=path):
                pass
        assert caught.value.errno == errno.EADDRINUSE
        assert await ask(await connect_unix(path), b"hello") == b"hello"


async def test_unix_listener_leaves_a_file_alone(tmp_path: Path):
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(FileExistsError, match="not a socket"):
        async with TemporaryUnixListener(echo, path=path):
            pass
    assert path.read_text() == "data"


async def test_unix_path_too_long_is_an_error_that_names_it(tmp_path: Path):
    path = tmp_path / ("x" * 120)
    with pytest.raises(OSError, match=r"cannot listen on unix:.*too long"):
        async with TemporaryUnixListener(echo, path=path):
            pass
