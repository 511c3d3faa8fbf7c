"""The server of a socket of calls: answers in turn, a thread for each connection, and its end."""

import socket
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path

import anyio
import pytest
from anyio import from_thread, to_thread

from jumpstarter.rpc.call_server import serve_calls
from jumpstarter.rpc.call_socket import MAX_MESSAGE, OK, Answer, receive, send
from jumpstarter.streams.listeners import TemporarySocket

COLOUR: ContextVar[str] = ContextVar("COLOUR", default="none")


def echo(_: socket.socket, message: bytes) -> Answer:
    return 7, message


@asynccontextmanager
async def served(answer: Callable[[socket.socket, bytes], Answer]) -> AsyncGenerator[Path]:
    with TemporarySocket() as path:
        async with serve_calls(path, answer):
            yield path


def connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return connection


def ask(connection: socket.socket, message: bytes) -> Answer | None:
    send(connection, OK, message)
    return receive(connection)


@pytest.mark.parametrize("size", [0, 1, 65_531, 65_532, MAX_MESSAGE])
async def test_an_answer_follows_each_request(size: int):
    def use(path: Path) -> None:
        with connect(path) as connection:
            for _ in range(2):
                assert ask(connection, bytes(size)) == (7, bytes(size))

    async with served(echo) as path:
        await to_thread.run_sync(use, path)


async def test_a_message_that_is_too_large_ends_the_connection():
    def use(path: Path) -> None:
        with connect(path) as connection:
            connection.sendall(b"\x00\xff\xff\xff\xff")
            assert connection.recv(1) == b""

    async with served(echo) as path:
        await to_thread.run_sync(use, path)


async def test_connections_have_threads_that_may_call_the_loop_and_calls_a_context_each():
    threads: set[int] = set()

    def look(_: socket.socket, message: bytes) -> Answer:
        threads.add(threading.get_ident())
        seen = COLOUR.get()
        COLOUR.set(message.decode())
        loops = from_thread.run_sync(threading.get_ident)
        return OK, f"{seen} {loops}".encode()

    def use(path: Path) -> list[Answer | None]:
        with connect(path) as one, connect(path) as other:
            return [ask(one, b"red"), ask(one, b"blue"), ask(other, b"green")]

    COLOUR.set("white")
    async with served(look) as path:
        answers = await to_thread.run_sync(use, path)
    assert answers == [(OK, f"white {threading.get_ident()}".encode())] * 3
    assert len(threads) == 2
    assert threading.get_ident() not in threads


async def test_a_failure_ends_its_connection_and_no_other(caplog: pytest.LogCaptureFixture):
    def fail(_: socket.socket, message: bytes) -> Answer:
        if message == b"fail":
            raise ZeroDivisionError
        return OK, message

    def use(path: Path) -> None:
        with connect(path) as one, connect(path) as other:
            assert ask(other, b"x") == (OK, b"x")
            assert ask(one, b"fail") is None
            assert ask(other, b"y") == (OK, b"y")

    async with served(fail) as path:
        await to_thread.run_sync(use, path)
    assert "connection reset, because its handler failed" in caplog.text


async def test_leaving_ends_idle_connections_and_waits_for_no_call():
    entered, leave = threading.Event(), threading.Event()

    def block(_: socket.socket, message: bytes) -> Answer:
        if message == b"block":
            entered.set()
            assert leave.wait(10)
        return OK, message

    with anyio.fail_after(10):
        async with served(block) as path:
            idle, busy = connect(path), connect(path)
            assert await to_thread.run_sync(ask, idle, b"x") == (OK, b"x")
            send(busy, OK, b"block")
            await to_thread.run_sync(entered.wait)
        with idle, busy:
            assert await to_thread.run_sync(receive, idle) is None
            assert await to_thread.run_sync(receive, busy) is None
            leave.set()


async def test_the_path_is_removed_with_its_directory_and_an_error_where_it_cannot_be_had():
    with TemporarySocket() as path:
        async with serve_calls(path, echo):
            with pytest.raises(OSError, match="in use"):
                async with serve_calls(path, echo):
                    pytest.fail("the path was not refused")
    assert not path.exists()
