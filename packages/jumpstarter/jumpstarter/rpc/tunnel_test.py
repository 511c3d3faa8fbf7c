"""Tunnels: two sides that dial out to one router meet there and carry bytes both ways."""

import hashlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import grpc
import pytest
from anyio import BrokenResourceError, EndOfStream
from anyio.abc import ObjectStream
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc
from jumpstarter_protocol.aio import ControllerServiceAsyncStub

from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.conftest import Lab
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.rpc.channels import connect, tcp_target
from jumpstarter.rpc.tunnel import connect_router_stream
from jumpstarter.streams.memory import create_memory_stream

MIB = 1 << 20
LEASE = "lease"
TOKEN = "token"


@asynccontextmanager
async def controller_stub(lab: Lab) -> AsyncGenerator[ControllerServiceAsyncStub]:
    async with connect(await tcp_target(lab.address, lab.tls)) as channel:
        yield jumpstarter_pb2_grpc.ControllerServiceStub(channel)


@asynccontextmanager
async def tunnel(lab: Lab, endpoint: str, token: str) -> AsyncGenerator[ObjectStream[bytes]]:
    """Yield the local end of one side's tunnel."""
    near, far = create_memory_stream()
    async with connect_router_stream(endpoint, token, far, lab.tls):
        yield near


@asynccontextmanager
async def both_ends(
    lab: Lab, token: str = TOKEN
) -> AsyncGenerator[tuple[ObjectStream[bytes], ObjectStream[bytes]]]:
    async with (
        tunnel(lab, lab.address, token) as exporter,
        tunnel(lab, lab.address, token) as client,
    ):
        yield exporter, client


async def collect(stream: ObjectStream[bytes]) -> bytes:
    return b"".join([chunk async for chunk in stream])


async def test_exporter_and_client_meet_through_the_controller(mock_controller: Lab):
    async with (
        controller_stub(mock_controller) as exporter_side,
        controller_stub(mock_controller) as client_side,
    ):
        status = exporter_side.Status(jumpstarter_pb2.StatusRequest())
        assert [(await anext(aiter(status))).leased] == [False]
        await exporter_side.Register(jumpstarter_pb2.RegisterRequest(labels={"a": "b"}))
        assert (await anext(aiter(status))).lease_name == LEASE
        listen = exporter_side.Listen(jumpstarter_pb2.ListenRequest(lease_name=LEASE))
        dialled = await client_side.Dial(jumpstarter_pb2.DialRequest(lease_name=LEASE))
        heard = await anext(aiter(listen))
        assert heard.router_token == dialled.router_token
        async with (
            tunnel(mock_controller, heard.router_endpoint, heard.router_token) as exporter,
            tunnel(mock_controller, dialled.router_endpoint, dialled.router_token) as client,
        ):
            await client.send(b"hello")
            assert await exporter.receive() == b"hello"
            await exporter.send(b"world")
            assert await client.receive() == b"world"
            await client.send_eof()
            await exporter.send_eof()
        await exporter_side.Unregister(jumpstarter_pb2.UnregisterRequest(reason="done"))
        assert not (await anext(aiter(status))).leased
        for call in (status, listen):
            call.cancel()


async def test_a_client_cannot_dial_an_exporter_that_is_gone(mock_controller: Lab):
    async with controller_stub(mock_controller) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Dial(jumpstarter_pb2.DialRequest(lease_name=LEASE))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_half_close_leaves_the_other_direction_open(mock_controller: Lab):
    async with both_ends(mock_controller) as (exporter, client):
        await client.send_eof()
        with pytest.raises(EndOfStream):
            await exporter.receive()
        for number in range(3):
            await exporter.send(b"answer %d" % number)
            assert await client.receive() == b"answer %d" % number
        await exporter.send_eof()
        with pytest.raises(EndOfStream):
            await client.receive()


async def test_sixteen_mebibytes_each_way_arrive_whole(mock_controller: Lab):
    data = random.Random(1).randbytes(16 * MIB)
    received: dict[str, str] = {}

    async def send(stream: ObjectStream[bytes]) -> None:
        for start in range(0, len(data), 3 * MIB):
            await stream.send(data[start : start + 3 * MIB])
        await stream.send_eof()

    async def receive(stream: ObjectStream[bytes], side: str) -> None:
        received[side] = hashlib.sha256(await collect(stream)).hexdigest()

    async with (
        both_ends(mock_controller) as (exporter, client),
        anyio.create_task_group() as tasks,
    ):
        for side, stream in (("exporter", exporter), ("client", client)):
            tasks.start_soon(send, stream)
            tasks.start_soon(receive, stream, side)
    digest = hashlib.sha256(data).hexdigest()
    assert received == {"exporter": digest, "client": digest}


async def test_tokens_keep_tunnels_apart(mock_controller: Lab):
    async with (
        both_ends(mock_controller, "one") as (exporter_one, client_one),
        both_ends(mock_controller, "two") as (exporter_two, client_two),
    ):
        await client_one.send(b"one")
        await client_two.send(b"two")
        assert await exporter_two.receive() == b"two"
        assert await exporter_one.receive() == b"one"
        for stream in (exporter_one, client_one, exporter_two, client_two):
            await stream.send_eof()


async def test_a_side_that_breaks_off_breaks_the_other(mock_controller: Lab):
    address = mock_controller.address
    met = anyio.Event()

    async def vanish() -> None:
        async with tunnel(mock_controller, address, TOKEN) as client:
            await client.send(b"last words")
            await met.wait()
            raise ZeroDivisionError

    async def stay() -> None:
        async with tunnel(mock_controller, address, TOKEN) as exporter:
            assert await exporter.receive() == b"last words"
            met.set()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(broken, stay)
        with pytest.raises(ZeroDivisionError):
            await vanish()


async def broken(side: Callable[[], Awaitable[None]]) -> None:
    with pytest.raises(BrokenResourceError, match="ABORTED: the other side left"):
        await side()


async def test_a_router_that_is_not_trusted_is_refused(mock_controller: Lab):
    near, far = create_memory_stream()
    endpoint = mock_controller.address
    # Nothing is known of its certificate.
    with pytest.raises(BrokenResourceError, match="UNAVAILABLE: "):
        async with connect_router_stream(endpoint, TOKEN, far, TLSConfigV1Alpha1()):
            await near.receive()


async def test_a_wrong_ca_is_refused_before_anything_is_sent(mock_controller: Lab):
    _, far = create_memory_stream()
    tls = TLSConfigV1Alpha1(ca="not base64")
    with pytest.raises(ConfigurationError, match=r"tls\.ca: not base64"):
        async with connect_router_stream(mock_controller.address, TOKEN, far, tls):
            pass
