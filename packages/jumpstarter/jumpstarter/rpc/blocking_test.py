"""Blocking calls from threads that run no event loop."""

import os
import socket
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import grpc
import pytest
from anyio import to_thread
from grpc.aio import Server
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc
from typing_extensions import override

from jumpstarter.conftest import Certificate
from jumpstarter.rpc.blocking import (
    CallFailed,
    CallSocket,
    DriverCall,
    Target,
    connect_blocking,
    is_in_event_loop,
)
from jumpstarter.rpc.call_server import serve_calls
from jumpstarter.rpc.call_socket import (
    ELSEWHERE,
    MAX_MESSAGE,
    OK,
    Answer,
    calls_path,
)
from jumpstarter.rpc.channels import SystemTrust, tcp_target, unix_target
from jumpstarter.rpc.conftest import Context
from jumpstarter.rpc.servers import Bind, serve, unix_bind
from jumpstarter.rpc.stub import MetadataEntries
from jumpstarter.streams.listeners import TemporarySocket

NOTHING: MetadataEntries = ()


class Echo(jumpstarter_pb2_grpc.ExporterServiceServicer):
    """Answers with the method that was called and a metadata entry."""

    @override
    async def DriverCall(
        self, request: jumpstarter_pb2.DriverCallRequest, context: Context
    ) -> jumpstarter_pb2.DriverCallResponse:
        if request.method == "fail":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such method")
        given = dict(context.invocation_metadata() or ()).get("x-own", "")
        return jumpstarter_pb2.DriverCallResponse(uuid=f"{request.method} {given}")


def register(server: Server) -> None:
    jumpstarter_pb2_grpc.add_ExporterServiceServicer_to_server(Echo(), server)


def call(target: Target, method: str, metadata: MetadataEntries = NOTHING) -> str:
    with connect_blocking(target, metadata) as driver_call:
        return driver_call(jumpstarter_pb2.DriverCallRequest(method=method)).uuid


async def test_a_thread_calls_over_a_unix_socket():
    with TemporarySocket() as path:
        async with serve(register, [Bind(f"unix://{path}")]):
            target = unix_target(path)
            assert await to_thread.run_sync(call, target, "on") == "on "
            assert await to_thread.run_sync(call, target, "on", (("x-own", "1"),)) == "on 1"


@pytest.mark.parametrize("plaintext", [True, False])
async def test_a_thread_calls_over_tcp(certificate: Certificate, plaintext: bool):
    credentials = None if plaintext else certificate.server
    trust = SystemTrust() if plaintext else certificate.tls
    async with serve(register, [Bind("127.0.0.1:0", credentials)]) as (port,):
        target = await tcp_target(f"127.0.0.1:{port}", trust, plaintext=plaintext)
        assert await to_thread.run_sync(call, target, "on") == "on "


async def test_a_failure_is_the_servers_status():
    with TemporarySocket() as path:
        async with serve(register, [Bind(f"unix://{path}")]):
            with pytest.raises(grpc.RpcError) as caught:
                await to_thread.run_sync(call, unix_target(path), "fail")
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "no such method"


class Calls:
    """Answers on a socket of calls: `on` there, `off` elsewhere; `block` when it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.connections: set[socket.socket] = set()
        self.entered = threading.Semaphore(0)
        self.leave = threading.Event()

    def answer(self, connection: socket.socket, message: bytes) -> Answer:
        request = jumpstarter_pb2.DriverCallRequest.FromString(message)
        self.asked.append(request.method)
        self.connections.add(connection)
        match request.method:
            case "off":
                return ELSEWHERE, b""
            case "fail":
                return int(grpc.StatusCode.NOT_FOUND.value[0]), b"no such method"
            case "block":
                self.entered.release()
                assert self.leave.wait(10)
            case _:
                pass
        return OK, jumpstarter_pb2.DriverCallResponse(uuid="here").SerializeToString()


@asynccontextmanager
async def served(calls: Calls) -> AsyncGenerator[DriverCall]:
    """Serve calls, and gRPC beside them; yield what calls."""
    with TemporarySocket() as path:
        beside = calls_path(path)
        async with serve(register, [unix_bind(path)]), serve_calls(beside, calls.answer):
            with connect_blocking(unix_target(path), NOTHING, beside) as driver_call:
                yield driver_call


async def made(driver_call: DriverCall, method: str, uuid: str = "") -> str:
    request = jumpstarter_pb2.DriverCallRequest(method=method, uuid=uuid)
    return (await to_thread.run_sync(driver_call, request)).uuid


async def fails(driver_call: DriverCall, words: str) -> None:
    with pytest.raises(CallFailed, match=words):
        await made(driver_call, "block")


async def test_calls_are_made_over_the_socket_of_calls_and_what_it_does_not_take_over_grpc():
    calls = Calls()
    async with served(calls) as driver_call:
        assert await made(driver_call, "on") == "here"
        assert await made(driver_call, "off") == "off "
        assert calls.asked == ["on", "off"]
        with pytest.raises(grpc.RpcError, match="RESOURCE_EXHAUSTED"):
            await made(driver_call, "on", "x" * (MAX_MESSAGE + 1))
        assert await made(driver_call, "on") == "here"
    assert calls.asked == ["on", "off", "on"]


async def test_a_status_from_the_socket_of_calls_is_an_error_like_grpcs():
    async with served(Calls()) as driver_call:
        with pytest.raises(grpc.RpcError, match="NOT_FOUND: no such method") as caught:
            await made(driver_call, "fail")
        assert isinstance(caught.value, CallFailed)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert caught.value.details() == "no such method"


async def test_calls_at_the_same_time_have_a_connection_each_which_is_kept():
    calls = Calls()
    async with served(calls) as driver_call:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(made, driver_call, "block")
            for _ in range(3):
                await to_thread.run_sync(calls.entered.acquire)
            calls.leave.set()
        for _ in range(5):
            await made(driver_call, "on")
        assert len(calls.connections) == 3


async def test_a_server_that_leaves_ends_the_calls_that_it_makes():
    calls = Calls()
    with TemporarySocket() as path, anyio.fail_after(10):
        beside = calls_path(path)
        with connect_blocking(unix_target(path), NOTHING, beside) as driver_call:
            async with anyio.create_task_group() as tasks, serve_calls(beside, calls.answer):
                tasks.start_soon(fails, driver_call, "the exporter has ended the connection")
                await to_thread.run_sync(calls.entered.acquire)
            calls.leave.set()
            # Now gRPC tells that there is nobody.
            with pytest.raises(grpc.RpcError) as caught:
                await made(driver_call, "on")
    assert not isinstance(caught.value, CallFailed)


async def test_closing_ends_the_calls_that_wait_and_refuses_others():
    calls = Calls()
    async with served(calls) as driver_call:
        assert isinstance(driver_call, CallSocket)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fails, driver_call, "UNAVAILABLE")
            await to_thread.run_sync(calls.entered.acquire)
            driver_call.close()
        calls.leave.set()
        with pytest.raises(ValueError, match="closed"):
            await made(driver_call, "on")


async def test_a_process_that_was_forked_has_connections_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
):
    calls = Calls()
    async with served(calls) as driver_call:
        await made(driver_call, "on")
        monkeypatch.setattr(os, "getpid", lambda: -1)
        await made(driver_call, "on")
        await made(driver_call, "on")
    assert len(calls.connections) == 2


async def test_an_event_loop_is_noticed():
    assert is_in_event_loop()
    assert not await to_thread.run_sync(is_in_event_loop)
