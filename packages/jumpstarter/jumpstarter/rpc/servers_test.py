"""Servers: bound when entered or an OSError, and nothing left when they are left."""

import socket
from pathlib import Path

import anyio
import grpc
import pytest
from grpc.aio import AioRpcError, Channel
from jumpstarter_protocol import router_pb2_grpc

from jumpstarter.conftest import Certificate
from jumpstarter.rpc.channels import connect, tcp_target, unix_target
from jumpstarter.rpc.conftest import OPEN, Context, OneMethod, frame_of, frames_of, serve_stream
from jumpstarter.rpc.servers import Bind, serve
from jumpstarter.streams.listeners import TemporarySocket


async def greet(context: Context) -> None:
    await context.send_initial_metadata((("greeting", "hello"),))
    # A status that overtakes the metadata would replace them.
    await frames_of(context)


def register(server: grpc.aio.Server) -> None:
    router_pb2_grpc.add_RouterServiceServicer_to_server(OneMethod(greet), server)


async def greeting(target_text: str, certificate: Certificate) -> object:
    async with connect(await tcp_target(target_text, certificate.tls)) as channel:
        return await greeting_over(channel)


async def greeting_over(channel: Channel) -> object:
    call = router_pb2_grpc.RouterServiceStub(channel).Stream()
    metadata = dict(await call.initial_metadata())
    call.cancel()
    return metadata["greeting"]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
async def test_the_bound_port_is_told(host: str, certificate: Certificate):
    async with serve(register, [Bind(f"{host}:0", certificate.server)]) as (port,):
        assert await greeting(f"{host}:{port}", certificate) == "hello"


async def test_several_addresses_are_one_server(certificate: Certificate):
    binds = [Bind("127.0.0.1:0", certificate.server), Bind("[::1]:0", certificate.server)]
    async with serve(register, binds) as (four, six):
        assert await greeting(f"127.0.0.1:{four}", certificate) == "hello"
        assert await greeting(f"[::1]:{six}", certificate) == "hello"


async def test_a_port_in_use_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=rf"^cannot listen on {address}: is it in use"):
            async with serve(register, [Bind(address)]):
                pytest.fail("the port was not refused")


async def test_the_port_of_another_server_is_an_error():
    async with serve(register, [Bind("127.0.0.1:0")]) as (port,):
        with pytest.raises(OSError, match="is it in use"):
            async with serve(register, [Bind(f"127.0.0.1:{port}")]):
                pytest.fail("the port was not refused")


@pytest.mark.parametrize("address", ["192.0.2.1:0", "unix:///nowhere/at/all", "no such host:1"])
async def test_an_address_that_cannot_be_had_is_an_error(address: str):
    with pytest.raises(OSError, match=r"^cannot listen on "):
        async with serve(register, [Bind(address)]):
            pytest.fail("the address was not refused")


async def test_what_was_bound_before_a_failure_is_free_again():
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
        probe.close()
        binds = [Bind(f"127.0.0.1:{address[1]}"), Bind(f"127.0.0.1:{taken.getsockname()[1]}")]
        with pytest.raises(OSError, match="is it in use"):
            async with serve(register, binds):
                pytest.fail("the port was not refused")
        socket.create_server(address, reuse_port=False).close()


async def test_leaving_frees_the_port_and_removes_the_socket():
    with TemporarySocket() as path:
        async with serve(register, [Bind("127.0.0.1:0"), Bind(f"unix://{path}")]) as (port, _):
            assert path.is_socket()
        assert not path.exists()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


async def test_leaving_cancels_calls():
    cancelled = anyio.Event()

    async def linger(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with serve_stream(linger) as channel:
        call = router_pb2_grpc.RouterServiceStub(channel).Stream()
        await call.initial_metadata()
    await cancelled.wait()


async def test_the_client_of_a_server_that_left_sees_it():
    def also(server: grpc.aio.Server) -> None:
        router_pb2_grpc.add_RouterServiceServicer_to_server(OneMethod(wait), server)

    async def wait(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        await anyio.sleep_forever()

    with TemporarySocket() as path:
        async with serve(also, [Bind(f"unix://{path}")]):
            channel_context = connect(unix_target(path))
            channel = await channel_context.__aenter__()
            call = router_pb2_grpc.RouterServiceStub(channel).Stream()
            await call.initial_metadata()
        with pytest.raises(AioRpcError) as caught:
            assert frame_of(await call.read())
        assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        await channel_context.__aexit__(None, None, None)


async def test_a_socket_file_of_the_past_is_replaced(tmp_path: Path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with (
        serve(register, [Bind(f"unix://{path}")]),
        connect(unix_target(path)) as channel,
    ):
        assert await greeting_over(channel) == "hello"


async def test_a_server_that_is_cancelled_while_it_starts_is_gone():
    with TemporarySocket() as path:
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with serve(register, [Bind(f"unix://{path}")]):
                pytest.fail("the body ran")
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(OSError):  # noqa: PT011 - refused, or gone
            client.connect(str(path))
