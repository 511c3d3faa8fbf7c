"""Blocking calls from threads that run no event loop."""

import grpc
import pytest
from anyio import to_thread
from grpc.aio import Server
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc
from typing_extensions import override

from jumpstarter.conftest import Certificate
from jumpstarter.rpc.blocking import Target, connect_blocking, is_in_event_loop
from jumpstarter.rpc.channels import SystemTrust, tcp_target, unix_target
from jumpstarter.rpc.conftest import Context
from jumpstarter.rpc.servers import Bind, serve
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


async def test_an_event_loop_is_noticed():
    assert is_in_event_loop()
    assert not await to_thread.run_sync(is_in_event_loop)
