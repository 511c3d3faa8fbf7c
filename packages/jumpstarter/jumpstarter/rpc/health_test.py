"""The health service says whether the server serves, in the bytes of its own messages."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc.aio import AioRpcError, Channel, UnaryStreamCall, UnaryStreamMultiCallable

from jumpstarter.rpc.channels import connect, unix_target
from jumpstarter.rpc.health import Health
from jumpstarter.rpc.servers import serve, unix_bind
from jumpstarter.streams.listeners import TemporarySocket

ALL = b""
SERVING, NOT_SERVING, UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"


def named(service: str) -> bytes:
    return b"\x0a" + bytes([len(service)]) + service.encode()


@asynccontextmanager
async def asked(health: Health) -> AsyncGenerator[Channel]:
    with TemporarySocket() as path:
        async with (
            serve(health.add_to, [unix_bind(path)]),
            connect(unix_target(path)) as channel,
        ):
            yield channel


def watching(channel: Channel, request: bytes) -> UnaryStreamCall[bytes, bytes]:
    method: UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
        "/grpc.health.v1.Health/Watch"
    )
    return method(request)


@pytest.mark.parametrize("request_bytes", [ALL, named("jumpstarter.v1.ControllerService")])
async def test_a_server_that_serves(request_bytes: bytes) -> None:
    async with asked(Health(("jumpstarter.v1.ControllerService",))) as channel:
        assert await channel.unary_unary("/grpc.health.v1.Health/Check")(request_bytes) == SERVING


async def test_a_server_that_stops() -> None:
    health = Health()
    async with asked(health) as channel:
        health.set(serving=False)

        assert await channel.unary_unary("/grpc.health.v1.Health/Check")(ALL) == NOT_SERVING


async def test_a_service_that_is_not_there() -> None:
    async with asked(Health()) as channel:
        with pytest.raises(AioRpcError) as error:
            await channel.unary_unary("/grpc.health.v1.Health/Check")(named("none"))
        watch = watching(channel, named("none"))

        assert error.value.code() is grpc.StatusCode.NOT_FOUND
        assert await watch.read() == UNKNOWN


async def test_who_watches_is_told_of_changes() -> None:
    health = Health()
    async with asked(health) as channel:
        watch = watching(channel, ALL)

        assert await watch.read() == SERVING
        health.set(serving=True)
        health.set(serving=False)
        assert await watch.read() == NOT_SERVING
