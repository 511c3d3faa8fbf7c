"""Calls over the socket of calls end as those over gRPC do."""

import socket
import tempfile
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import grpc
import pytest
from anyio import from_thread, to_thread
from jumpstarter_protocol import jumpstarter_pb2
from typing_extensions import override

from jumpstarter.client import DriverClient
from jumpstarter.driver import export
from jumpstarter.exporter import Session
from jumpstarter.exporter.conftest import Probe, client_for, serve_probe
from jumpstarter.model.errors import DriverError, ExporterNotReady
from jumpstarter.model.status import ExporterStatus
from jumpstarter.model.values import encode_value
from jumpstarter.rpc.call_socket import ELSEWHERE, OK, Answer, calls_path, receive, send


class Board(Probe):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []
        self.entered = threading.Event()
        self.free = threading.Event()

    @export
    def on(self) -> str:
        self.threads.append(threading.get_ident())
        return "on"

    @export
    def on_for(self, seconds: int) -> str:
        return f"on for {seconds} s"

    @export
    async def on_the_loop(self) -> str:
        self.threads.append(threading.get_ident())
        return "on"

    @export
    async def fail_on_the_loop(self) -> None:
        raise ConnectionResetError("the relay has hung up")

    @export
    async def leave_the_loop(self) -> None:
        raise SystemExit(4)

    @export
    async def wait_for_ever(self) -> None:
        self.entered.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.02)
            self.free.set()

    @export
    def large(self) -> str:
        return "x" * (4 << 20)

    @export
    def ask_the_loop(self) -> bool:
        return from_thread.run_sync(threading.get_ident) != threading.get_ident()

    @export
    def not_here(self) -> None:
        self.threads.append(threading.get_ident())
        raise NotImplementedError("no such relay")

    @export
    def block(self) -> None:
        self.entered.set()
        assert self.free.wait(10)

    @export
    def unsendable(self) -> object:
        return object()


class Answering(Board):
    """Answers calls by itself, as drivers that stand for others do."""

    @override
    async def DriverCall(
        self, request: jumpstarter_pb2.DriverCallRequest, context: object = None
    ) -> jumpstarter_pb2.DriverCallResponse:
        return jumpstarter_pb2.DriverCallResponse(uuid=request.uuid, result=encode_value("own"))


@asynccontextmanager
async def served(board: Board) -> AsyncGenerator[DriverClient]:
    async with serve_probe(board) as (_, path), client_for(path) as client:
        yield client


async def blocking(client: DriverClient, method: str) -> object:
    """Call as a user's thread does."""
    return await to_thread.run_sync(client.call, method)


async def failing(client: DriverClient, method: str) -> None:
    with pytest.raises(DriverError, match="UNAVAILABLE"):
        await blocking(client, method)


def answer_of(path: Path, board: Board, method: str) -> Answer:
    """Return the answer to a call over the socket of calls."""
    with asking(path, request_of(board, method)) as connection:
        answer = receive(connection)
    assert answer is not None
    return answer


def request_of(board: Board, method: str) -> bytes:
    request = jumpstarter_pb2.DriverCallRequest(uuid=str(board.uuid), method=method)
    return request.SerializeToString()


@contextmanager
def asking(path: Path, message: bytes) -> Generator[socket.socket]:
    """Yield a connection over which a request has been sent."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(calls_path(path)))
        send(connection, OK, message)
        yield connection


async def test_a_plain_method_is_called_in_a_worker_thread_which_may_call_the_loop():
    board = Board()
    async with served(board) as client:
        assert await blocking(client, "on") == "on"
        assert await blocking(client, "ask_the_loop") is True
    assert board.threads != [threading.get_ident()]


async def test_a_coroutine_runs_on_the_loop():
    board = Board()
    async with served(board) as client:
        for _ in range(2):
            assert await blocking(client, "on_the_loop") == "on"
            assert await blocking(client, "on") == "on"
    assert board.threads[::2] == [threading.get_ident()] * 2


async def test_a_coroutine_is_cancelled_when_its_client_leaves():
    board = Board()
    async with serve_probe(board) as (_, path):
        with asking(path, request_of(board, "wait_for_ever")):
            await to_thread.run_sync(board.entered.wait)
        with anyio.fail_after(10):
            await to_thread.run_sync(board.free.wait)


async def test_a_coroutine_is_cancelled_at_the_end_of_the_session():
    board = Board()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            async with served(board) as client:
                tasks.start_soon(failing, client, "wait_for_ever")
                await to_thread.run_sync(board.entered.wait)
            assert board.free.is_set()


async def test_a_driver_that_answers_by_itself_is_asked_over_grpc():
    board = Answering()
    async with serve_probe(board) as (_, path), client_for(path) as client:
        assert await blocking(client, "on") == "own"
        assert await to_thread.run_sync(answer_of, path, board, "on") == (ELSEWHERE, b"")


async def test_what_is_no_request_is_told():
    async with serve_probe(Board()) as (_, path):

        def use() -> Answer | None:
            with asking(path, b"\xff") as connection:
                return receive(connection)

        code, details = await to_thread.run_sync(use) or (OK, b"")
    assert (code, details) == (13, b"the request is not a message of DriverCall")


async def test_a_result_that_grpc_would_not_carry_is_refused():
    async with served(Board()) as client:
        with pytest.raises(DriverError, match="RESOURCE_EXHAUSTED: the result has 4194"):
            await blocking(client, "large")
        assert await blocking(client, "on") == "on"


@pytest.mark.parametrize(
    "method",
    [
        "fail_on_the_loop",
        "leave_the_loop",
        "absent",
        "close",
        "count",
        "on_for",
        "raise_it",
        "leave",
        "not_here",
        "unsendable",
    ],
)
async def test_a_failure_is_told_in_the_same_words(method: str):
    board = Board()
    board.raised = TimeoutError("the relay \udcff does not answer")
    async with serve_probe(board) as (_, path), client_for(path) as client:
        with pytest.raises(DriverError) as over_the_loop:
            await client.call_async(method)
        before = len(board.threads)
        with pytest.raises(DriverError) as plain:
            await blocking(client, method)
        assert len(board.threads) - before == int(method == "not_here")
    assert type(plain.value) is type(over_the_loop.value)
    assert plain.value.message == over_the_loop.value.message


async def test_a_driver_that_is_not_there_is_told_in_the_same_words():
    board, other = Board(), Board()
    async with serve_probe(board) as (_, path):
        code, details = await to_thread.run_sync(answer_of, path, other, "on")
    assert code == grpc.StatusCode.NOT_FOUND.value[0]
    assert details.decode() == f"no driver with uuid {other.uuid} in this session"


async def test_a_session_that_is_not_ready_makes_no_call():
    board = Board()
    async with (
        serve_probe(board, ExporterStatus.BEFORE_LEASE_HOOK_FAILED) as (_, path),
        client_for(path) as client,
    ):
        with pytest.raises(ExporterNotReady):
            await blocking(client, "on")
    assert board.threads == []


async def test_a_method_that_blocks_holds_up_neither_others_nor_the_end():
    board = Board()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            async with served(board) as client:
                tasks.start_soon(failing, client, "block")
                await to_thread.run_sync(board.entered.wait)
                assert await blocking(client, "on") == "on"
            board.free.set()


async def test_without_the_socket_calls_go_another_way():
    board = Board()
    async with serve_probe(board) as (_, path):
        calls_path(path).unlink()
        async with client_for(path) as client:
            assert await blocking(client, "on") == "on"


async def test_sessions_have_the_socket_where_clients_of_this_machine_are():
    with Session(root_device=Board()) as session:
        async with session.serve_unix_with_hook_socket_async() as (main, hook):
            assert calls_path(main).is_socket()
            assert not calls_path(hook).exists()
        async with session.serve_clients_async() as path:
            assert not calls_path(path).exists()


async def test_a_path_that_is_too_long_for_the_socket_does_without(
    monkeypatch: pytest.MonkeyPatch,
):
    with tempfile.TemporaryDirectory() as base:
        left = 107 - len(f"{base}/12345678/jumpstarter-12345678/socket.calls")
        place = tempfile.mkdtemp(prefix="x" * (left + 1), dir=base)
        monkeypatch.setenv("XDG_RUNTIME_DIR", place)
        board = Board()
        async with serve_probe(board) as (_, path), client_for(path) as client:
            assert len(str(calls_path(path))) == 108
            assert not calls_path(path).exists()
            assert await blocking(client, "on") == "on"
