"""The stub over several channels: which one is chosen, and what goes with each call."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import grpc
import pytest
from google.protobuf import empty_pb2
from grpc.aio import Channel, Server
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc
from typing_extensions import override

from jumpstarter.rpc.channels import connect, unix_target
from jumpstarter.rpc.conftest import Context
from jumpstarter.rpc.servers import Bind, serve
from jumpstarter.rpc.stub import MultipathExporterStub
from jumpstarter.streams.listeners import TemporarySocket


class Named(jumpstarter_pb2_grpc.ExporterServiceServicer):
    """Says its name, and what metadata came with the call."""

    def __init__(self, name: str) -> None:
        self._name = name

    @override
    async def GetReport(
        self, request: empty_pb2.Empty, context: Context
    ) -> jumpstarter_pb2.GetReportResponse:
        given = {
            key: str(value) for key, value in context.invocation_metadata() or () if "x-" in key
        }
        return jumpstarter_pb2.GetReportResponse(motd=self._name, labels=given)


@asynccontextmanager
async def channel_to(name: str) -> AsyncGenerator[Channel]:
    def register(server: Server) -> None:
        jumpstarter_pb2_grpc.add_ExporterServiceServicer_to_server(Named(name), server)

    with TemporarySocket() as path:
        async with (
            serve(register, [Bind(f"unix://{path}")]),
            connect(unix_target(path)) as channel,
        ):
            yield channel


async def name_behind(stub: MultipathExporterStub) -> str:
    return (await stub.GetReport(empty_pb2.Empty())).motd


async def ready(channel: Channel) -> None:
    with anyio.fail_after(5):
        await channel.channel_ready()


async def test_the_first_channel_that_is_ready_is_chosen():
    async with channel_to("one") as one, channel_to("two") as two:
        for channel in (one, two):
            await ready(channel)
        assert await name_behind(MultipathExporterStub([one, two])) == "one"
        assert await name_behind(MultipathExporterStub([two, one])) == "two"


async def test_a_channel_that_is_not_ready_is_passed_over():
    async with connect(unix_target("/nobody/listens")) as dead, channel_to("two") as two:
        await ready(two)
        stub = MultipathExporterStub([two, dead])
        assert await name_behind(stub) == "two"
        assert await name_behind(MultipathExporterStub([dead, two])) == "two"


async def test_with_none_ready_it_is_the_last():
    async with connect(unix_target("/nobody/listens")) as dead, channel_to("two") as two:
        assert await name_behind(MultipathExporterStub([dead, two])) == "two"


async def test_each_call_chooses_anew():
    async with channel_to("two") as two:
        await ready(two)
        async with channel_to("one") as one:
            await ready(one)
            stub = MultipathExporterStub([one, two])
            assert await name_behind(stub) == "one"
        assert await name_behind(stub) == "two"


@pytest.mark.parametrize("count", [1, 2])
async def test_metadata_go_with_every_call_beside_its_own(count: int):
    async with channel_to("one") as one:
        stub = MultipathExporterStub([one] * count, (("x-every", "1"),))
        plain = await stub.GetReport(empty_pb2.Empty())
        assert dict(plain.labels) == {"x-every": "1"}
        own = await stub.GetReport(empty_pb2.Empty(), metadata=(("x-own", "2"),))
        assert dict(own.labels) == {"x-every": "1", "x-own": "2"}


@pytest.mark.parametrize("count", [1, 2])
async def test_a_method_that_neither_service_has(count: int):
    async with connect(unix_target("/nobody/listens")) as dead:
        stub = MultipathExporterStub([dead] * count)
        with pytest.raises(AttributeError, match="has a method Frobnicate"):
            stub.Frobnicate(empty_pb2.Empty())
        assert not hasattr(stub, "_private")


def test_without_a_channel_there_is_no_stub():
    with pytest.raises(ValueError, match="at least one channel"):
        MultipathExporterStub([])


async def test_a_call_that_nobody_answers_ends_with_a_status():
    async with connect(unix_target("/nobody/listens")) as dead:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await MultipathExporterStub([dead]).GetReport(empty_pb2.Empty())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
