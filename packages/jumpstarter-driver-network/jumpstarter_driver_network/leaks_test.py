"""What is opened is closed: descriptors and tasks are counted before and after."""

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from jumpstarter.client import DriverClient
from jumpstarter.client.core import DriverError
from jumpstarter.common import ExporterStatus
from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver
from jumpstarter.exporter import Session

from jumpstarter_driver_network.adapters import TcpPortforwardAdapter, UdpPortforwardAdapter
from jumpstarter_driver_network.driver import EchoNetwork, TcpNetwork

Address = tuple[str, int]

PATIENCE = 20.0
LINGER_ZERO = struct.pack("ii", 1, 0)

# Opens a stream, says so, and waits to be killed.
CLIENT = """
import sys
from contextlib import ExitStack
from anyio.from_thread import start_blocking_portal
from jumpstarter.client import client_from_path
with (
    start_blocking_portal() as portal,
    ExitStack() as stack,
    portal.wrap_async_context_manager(
        client_from_path(sys.argv[1], portal, stack, allow=[], unsafe=True)
    ) as client,
):
    stream = client.open_stream()
    stream.send(b"x")
    stream.receive()
    print("open", flush=True)
    sys.stdin.read()
"""


async def held() -> tuple[set[str], set[str]]:
    """Return the descriptors of this process, and the tasks on this loop."""
    descriptors: set[str] = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            descriptors.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
    return descriptors, {f"{id(task)} {task!r}" for task in asyncio.all_tasks()}


async def settle(before: tuple[set[str], set[str]]) -> None:
    """Return when there are no more descriptors and no more tasks than `before`."""
    with anyio.move_on_after(PATIENCE):
        while any(  # noqa: ASYNC110 - gRPC's threads close their sockets and tell nobody
            len(now) > len(then) for now, then in zip(await held(), before, strict=True)
        ):
            await anyio.sleep(0.01)
        return
    more = [sorted(now - then) for now, then in zip(await held(), before, strict=True)]
    raise AssertionError(f"left over: {more}")


@contextmanager
def nothing_is_left(portal: BlockingPortal) -> Generator[None]:
    """Fail when the body leaves descriptors in this process, or tasks on the portal's loop."""
    before = portal.call(held)
    yield
    portal.call(settle, before)


def vanish(path: Path) -> None:
    """Run a client with an open stream, and kill it."""
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "open\n"
        client.kill()
        assert client.wait(PATIENCE) == -signal.SIGKILL


@contextmanager
def exporter(driver: Driver) -> Generator[tuple[BlockingPortal, Path]]:
    """Serve `driver` without a client of its own, and yield its loop and its socket."""
    with Session(root_device=driver) as session, start_blocking_portal("asyncio") as portal:
        session.update_status(ExporterStatus.LEASE_READY)
        with portal.wrap_async_context_manager(session.serve_unix_async()) as path:
            yield portal, path


def test_killed_client_closes_the_connection_to_the_target() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        host, port = listener.getsockname()
        with (
            exporter(TcpNetwork(host=host, port=port)) as (portal, path),
            nothing_is_left(portal),
            ThreadPoolExecutor() as pool,
        ):
            client = pool.submit(vanish, path)
            conn, _ = listener.accept()
            with conn:
                conn.settimeout(PATIENCE)
                conn.sendall(conn.recv(1))
                with pytest.raises(ConnectionResetError):
                    conn.recv(1)
            client.result(PATIENCE)


def test_killed_client_of_a_stream_in_memory_leaves_nothing() -> None:
    with exporter(EchoNetwork()) as (portal, path), nothing_is_left(portal):
        vanish(path)


def test_streams_that_were_closed_leave_nothing(tcp_echo_server: Address) -> None:
    host, port = tcp_echo_server
    with serve(TcpNetwork(host=host, port=port)) as client:
        open_and_close(client)
        with nothing_is_left(client.portal):
            for _ in range(20):
                open_and_close(client)


def open_and_close(client: DriverClient) -> None:
    with client.stream() as stream:
        stream.send(b"x")
        assert stream.receive() == b"x"


def test_streams_that_were_refused_leave_nothing(free_tcp_port: int) -> None:
    with (
        serve(TcpNetwork(host="127.0.0.1", port=free_tcp_port)) as client,
        nothing_is_left(client.portal),
    ):
        for _ in range(20):
            with pytest.raises(DriverError), client.stream():
                pass


def test_local_peers_that_vanish_leave_nothing(tcp_echo_server: Address) -> None:
    host, port = tcp_echo_server
    with (
        serve(TcpNetwork(host=host, port=port)) as client,
        TcpPortforwardAdapter(client=client) as address,
        nothing_is_left(client.portal),
    ):
        for _ in range(20):
            with socket.create_connection(address, PATIENCE) as conn:
                conn.sendall(b"x")
                assert conn.recv(1) == b"x"
                conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)


def test_forwards_that_ended_leave_nothing() -> None:
    with serve(EchoNetwork()) as client, nothing_is_left(client.portal):
        with (
            TcpPortforwardAdapter(client=client) as address,
            socket.create_connection(address, PATIENCE) as conn,
        ):
            conn.sendall(b"x")
            assert conn.recv(1) == b"x"
        with (
            UdpPortforwardAdapter(client=client) as address,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        ):
            sock.settimeout(PATIENCE)
            sock.sendto(b"x", address)
            assert sock.recv(1) == b"x"
