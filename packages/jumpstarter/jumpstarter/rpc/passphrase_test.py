"""The passphrase: what is refused, what is not, and that nothing else changes."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import grpc
import pytest
from google.protobuf import empty_pb2
from grpc.aio import AioRpcError, Channel, Server
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc, router_pb2, router_pb2_grpc
from typing_extensions import override

from jumpstarter.rpc.conftest import Context, OneMethod, frame_of
from jumpstarter.rpc.passphrase import (
    PASSPHRASE_METADATA_KEY,
    REFUSAL,
    PassphraseInterceptor,
    passphrase_client_interceptors,
)
from jumpstarter.rpc.servers import Bind, serve
from jumpstarter.rpc.stub import MetadataEntries, MultipathExporterStub

SECRET = "open sesame"
KINDS = ["unary", "server streaming", "both streaming"]
NOTHING: MetadataEntries = ()


class Exporter(jumpstarter_pb2_grpc.ExporterServiceServicer):
    """Answers one unary and one streaming call."""

    @override
    async def GetReport(
        self, request: empty_pb2.Empty, context: Context
    ) -> jumpstarter_pb2.GetReportResponse:
        return jumpstarter_pb2.GetReportResponse(motd="welcome")

    @override
    async def LogStream(
        self, request: empty_pb2.Empty, context: Context
    ) -> AsyncIterator[jumpstarter_pb2.LogStreamResponse]:
        yield jumpstarter_pb2.LogStreamResponse(message="welcome")


async def welcome(context: Context) -> None:
    await context.write(router_pb2.StreamResponse(payload=b"welcome"))


def register(server: Server) -> None:
    jumpstarter_pb2_grpc.add_ExporterServiceServicer_to_server(Exporter(), server)
    router_pb2_grpc.add_RouterServiceServicer_to_server(OneMethod(welcome), server)


@asynccontextmanager
async def protected() -> AsyncGenerator[str]:
    """Yield the address of a server that wants the passphrase."""
    async with serve(register, [Bind("127.0.0.1:0")], [PassphraseInterceptor(SECRET)]) as ports:
        yield f"127.0.0.1:{ports[0]}"


async def answer(channel: Channel, kind: str, metadata: MetadataEntries = NOTHING) -> object:
    """Return what a call of this kind says; raises AioRpcError when it is refused."""
    exporter = jumpstarter_pb2_grpc.ExporterServiceStub(channel)
    if kind == "unary":
        return (await exporter.GetReport(empty_pb2.Empty(), metadata=metadata)).motd
    if kind == "server streaming":
        return [
            item.message async for item in exporter.LogStream(empty_pb2.Empty(), metadata=metadata)
        ]
    call = router_pb2_grpc.RouterServiceStub(channel).Stream(metadata=metadata)
    return frame_of(await call.read())


ANSWERS = {"unary": "welcome", "server streaming": ["welcome"], "both streaming": (0, b"welcome")}


@pytest.mark.parametrize("kind", KINDS)
async def test_the_right_passphrase_is_let_in(kind: str):
    metadata = ((PASSPHRASE_METADATA_KEY, SECRET),)
    async with protected() as address, grpc.aio.insecure_channel(address) as channel:
        assert await answer(channel, kind, metadata) == ANSWERS[kind]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_interceptors_put_it_into_every_call(kind: str):
    interceptors = passphrase_client_interceptors(SECRET)
    async with (
        protected() as address,
        grpc.aio.insecure_channel(address, interceptors=interceptors) as channel,
    ):
        assert await answer(channel, kind) == ANSWERS[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "metadata",
    [
        NOTHING,
        ((PASSPHRASE_METADATA_KEY, ""),),
        ((PASSPHRASE_METADATA_KEY, "Open Sesame"),),
        ((PASSPHRASE_METADATA_KEY, SECRET + "!"),),
        ((PASSPHRASE_METADATA_KEY, SECRET), (PASSPHRASE_METADATA_KEY, "another")),
        (("x-other", SECRET),),
    ],
    ids=["none", "empty", "wrong case", "longer", "two", "wrong key"],
)
async def test_a_wrong_passphrase_is_refused(kind: str, metadata: MetadataEntries):
    async with protected() as address, grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(AioRpcError) as caught:
            await answer(channel, kind, metadata)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert caught.value.details() == REFUSAL == "invalid or missing passphrase"


@pytest.mark.parametrize("metadata", [NOTHING, ((PASSPHRASE_METADATA_KEY, SECRET),)])
async def test_an_unknown_method_stays_unknown(metadata: MetadataEntries):
    async with protected() as address, grpc.aio.insecure_channel(address) as channel:
        unknown: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/jumpstarter.v1.ExporterService/NoSuchMethod"
        )
        with pytest.raises(AioRpcError) as caught:
            await unknown(b"", metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_stub_with_metadata_is_let_in():
    stub_metadata = ((PASSPHRASE_METADATA_KEY, SECRET),)
    async with protected() as address, grpc.aio.insecure_channel(address) as channel:
        stub = MultipathExporterStub([channel], stub_metadata)
        report = cast("jumpstarter_pb2.GetReportResponse", await stub.GetReport(empty_pb2.Empty()))
        assert report.motd == "welcome"


async def test_a_passphrase_beyond_ascii_lets_nobody_in_and_breaks_nothing():
    interceptor = PassphraseInterceptor("Sesam öffne dich")
    async with (
        serve(register, [Bind("127.0.0.1:0")], [interceptor]) as (port,),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        with pytest.raises(AioRpcError) as caught:
            await answer(channel, "unary", ((PASSPHRASE_METADATA_KEY, SECRET),))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
