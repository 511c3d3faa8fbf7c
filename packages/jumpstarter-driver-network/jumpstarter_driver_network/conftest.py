"""What the tests of this package share: targets to reach, and programs to reach them with."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from anyio import EndOfStream
from anyio.from_thread import start_blocking_portal
from jumpstarter.streams.listeners import TemporaryTcpListener
from jumpstarter.streams.sockets import SocketStream

Address = tuple[str, int]
Script = Callable[[socket.socket], bytes]

PATIENCE = 20.0
"""Seconds that a script may wait for one operation."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def echo(stream: SocketStream) -> None:
    async with stream:
        try:
            while True:
                await stream.send(await stream.receive())
        except EndOfStream:
            await stream.send_eof()


@pytest.fixture
def tcp_echo_server() -> Iterator[Address]:
    """The address of a listener that echoes; it runs in a loop of its own, for any test."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(TemporaryTcpListener(echo)) as address,
    ):
        yield address


@pytest.fixture
def tcp_target() -> Iterator[Callable[[Script], tuple[Address, Future[bytes]]]]:
    """Starts a listener that takes one connection and runs a script on it.

    Gives its address, and the future of what the script returns; what it raises fails the test.
    """
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor())

        def start(script: Script) -> tuple[Address, Future[bytes]]:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            listener.settimeout(PATIENCE)

            def run() -> bytes:
                conn, _ = listener.accept()
                with conn:
                    conn.settimeout(PATIENCE)
                    return script(conn)

            done = pool.submit(run)
            stack.callback(done.result, PATIENCE)
            host, port = listener.getsockname()
            return (host, port), done

        yield start


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], str]:
    """Finds a program, and installs its Debian package when it is missing; fails when it cannot."""

    def find(name: str, package: str) -> str:
        path = shutil.which(name)
        if path is None:
            install(package)
            path = shutil.which(name)
        if path is None:
            pytest.fail(f"{name} is needed: install the package {package}")
        return path

    return find


def install(package: str) -> None:
    command = ["apt-get", "install", "-y", "--no-install-recommends", package]
    for attempt in (["apt-get", "update"], command):
        done = subprocess.run(attempt, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.fail(f"{' '.join(attempt)} failed, run it by hand: {done.stderr.strip()}")
