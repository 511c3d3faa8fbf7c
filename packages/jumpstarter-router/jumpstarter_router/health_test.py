"""The health service, asked as its own protocol says."""

from typing import Any, cast

import grpc
import pytest
from google.protobuf.wrappers_pb2 import Int32Value, StringValue
from grpc.aio import Channel
from jumpstarter.rpc.health import NOT_SERVING, SERVICE_UNKNOWN, SERVING

from jumpstarter_router.conftest import Lab
from jumpstarter_router.health import CHECK, WATCH

ROUTER = "jumpstarter.v1.RouterService"


async def check(channel: Channel, service: str = "") -> int:
    call = channel.unary_unary(CHECK, StringValue.SerializeToString, Int32Value.FromString)
    return (await call(StringValue(value=service))).value


@pytest.mark.parametrize("service", ["", ROUTER])
async def test_it_serves_until_it_drains(lab: Lab, service: str):
    async with lab.channel() as channel:
        assert await check(channel, service) == SERVING
        lab.router.begin_drain()
        assert await check(channel, service) == NOT_SERVING


async def test_without_keys_it_does_not_serve_yet(lab: Lab):
    lab.ring.keys = ()
    async with lab.channel() as channel:
        assert await check(channel) == NOT_SERVING


async def test_another_service_is_not_found(lab: Lab):
    async with lab.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await check(channel, "other")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_bytes_that_are_no_question_are_refused(lab: Lab):
    async with lab.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(CHECK, None, None)(b"\xff")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_without_a_question_there_is_no_answer(lab: Lab):
    async with lab.channel() as channel:
        call = cast("Any", channel.stream_stream(CHECK, None, None))()
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.NOT_FOUND


async def test_who_watches_is_told_each_change(lab: Lab):
    async with lab.channel() as channel:
        watch = channel.unary_stream(WATCH, StringValue.SerializeToString, Int32Value.FromString)
        call, unknown = watch(StringValue()), watch(StringValue(value="other"))
        answers, others = aiter(call), aiter(unknown)
        assert (await anext(answers)).value == SERVING
        assert (await anext(others)).value == SERVICE_UNKNOWN
        keys, lab.ring.keys = lab.ring.keys, ()
        lab.router.health_changed()
        assert (await anext(answers)).value == NOT_SERVING
        lab.ring.keys = keys
        lab.router.health_changed()
        assert (await anext(answers)).value == SERVING
        lab.router.begin_drain()
        assert (await anext(answers)).value == NOT_SERVING
        call.cancel()
        unknown.cancel()
