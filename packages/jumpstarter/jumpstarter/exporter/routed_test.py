"""A session that is reached through a router: what works on one machine works from afar."""

import hashlib
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from anyio import BrokenResourceError, EndOfStream
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc
from jumpstarter_protocol.aio import ControllerServiceAsyncStub

from jumpstarter.client import DriverClient
from jumpstarter.client.core import DriverError, DriverInvalidArgument
from jumpstarter.conftest import Lab
from jumpstarter.exporter.conftest import Probe, client_for, collect, echo, serve_probe
from jumpstarter.rpc.channels import connect, tcp_target
from jumpstarter.rpc.tunnel import connect_router_stream
from jumpstarter.streams.listeners import TemporaryTcpListener, TemporaryUnixListener
from jumpstarter.streams.sockets import SocketStream, connect_unix

MIB = 1 << 20
LEASE = "lease"


@asynccontextmanager
async def controller_of(lab: Lab) -> AsyncGenerator[ControllerServiceAsyncStub]:
    async with connect(await tcp_target(lab.address, lab.tls)) as channel:
        yield jumpstarter_pb2_grpc.ControllerServiceStub(channel)


@asynccontextmanager
async def offered(lab: Lab, path: Path) -> AsyncGenerator[None]:
    """Let clients of the lease reach the session at `path`, as an exporter does."""

    async def join(heard: jumpstarter_pb2.ListenResponse) -> None:
        local = await connect_unix(path)
        endpoint, token = heard.router_endpoint, heard.router_token
        with suppress(BrokenResourceError):
            async with connect_router_stream(endpoint, token, local, lab.tls):
                pass

    async with controller_of(lab) as controller, anyio.create_task_group() as tasks:
        await controller.Register(jumpstarter_pb2.RegisterRequest())
        listen = controller.Listen(jumpstarter_pb2.ListenRequest(lease_name=LEASE))

        async def answer_dials() -> None:
            async for heard in listen:
                tasks.start_soon(join, heard)

        tasks.start_soon(answer_dials)
        yield
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def dialling(lab: Lab) -> AsyncGenerator[Path]:
    """Yield a local socket each of whose connections leads to the exporter, as for a client."""

    async def dial(local: SocketStream) -> None:
        token = await controller.Dial(jumpstarter_pb2.DialRequest(lease_name=LEASE))
        async with connect_router_stream(token.router_endpoint, token.router_token, local, lab.tls):
            pass

    async with controller_of(lab) as controller, TemporaryUnixListener(dial) as path:
        yield path


@pytest.fixture
async def client(mock_controller: Lab) -> AsyncGenerator[DriverClient]:
    async with (
        TemporaryTcpListener(echo) as target,
        serve_probe(Probe(target=target)) as (_, path),
        offered(mock_controller, path),
        dialling(mock_controller) as entry,
        client_for(entry) as client,
    ):
        yield client


async def test_calls(client: DriverClient):
    assert await client.call_async("echo", {"a": [1, None]}) == {"a": [1.0, None]}
    assert [item async for item in client.streamingcall_async("count", 1000)] == list(range(1000))


async def test_failures(client: DriverClient):
    with pytest.raises(DriverInvalidArgument, match="why"):
        await client.call_async("fail", "value", "why")
    with pytest.raises(DriverError, match=r"cannot connect to tcp://target:1"):
        async with client.stream_async("fails"):
            pytest.fail("the stream was not refused")


async def test_a_stream_with_half_close(client: DriverClient):
    data = random.Random(7).randbytes(16 * MIB)
    async with client.stream_async("connect") as stream, anyio.create_task_group() as tasks:

        async def send() -> None:
            await stream.send(data)
            await stream.send_eof()

        tasks.start_soon(send)
        assert hashlib.sha256(await collect(stream)).digest() == hashlib.sha256(data).digest()
        with pytest.raises(EndOfStream):
            await stream.receive()


async def test_many_at_once(client: DriverClient):
    async def exchange(number: int) -> None:
        async with client.stream_async("connect") as stream:
            await stream.send(b"%d" % number)
            await stream.send_eof()
            answers[number] = await collect(stream)

    answers: dict[int, bytes] = {}
    async with anyio.create_task_group() as tasks:
        for number in range(16):
            tasks.start_soon(exchange, number)
    assert answers == {number: b"%d" % number for number in range(16)}


async def test_the_log(client: DriverClient, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    async with client.log_stream_async():
        await client.call_async("log", "from afar")
        with anyio.fail_after(5):
            while ("exporter:driver", "from afar") not in [
                (record.name, record.getMessage()) for record in caplog.records
            ]:
                await client.call_async("echo", 1)
