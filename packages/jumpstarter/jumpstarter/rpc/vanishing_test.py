"""A client that vanishes while it is answered: its call ends, and nobody is told of a failure."""

import asyncio
import logging
from typing import Any, cast

import anyio
import grpc
import pytest
from grpc._cython import cygrpc  # pyright: ignore[reportMissingTypeStubs] - has none
from jumpstarter_protocol import router_pb2_grpc

from jumpstarter.rpc.conftest import (
    DATA,
    OPEN,
    Context,
    OneMethod,
    serve_stream,
    write_frames,
)
from jumpstarter.rpc.servers import Bind, serve
from jumpstarter.rpc.vanishing import to_client

LARGE = bytes(32 << 20)
"""More than gRPC sends to a client that does not read."""

VANISHED = 'Failed "execute_batch": (SendMessageOperation,)'


def batch_error(text: str) -> Exception:
    """Return what grpc.aio raises for a batch of operations that failed."""
    return cast("Any", cygrpc).ExecuteBatchError(text)


async def raised_while_serving(error: Exception) -> None:
    """Serve a call that raises `error`, and leave it."""
    raised = anyio.Event()

    async def fail(context: Context) -> None:
        await context.send_initial_metadata(OPEN)
        raised.set()
        raise error

    async with serve_stream(fail) as channel:
        call = router_pb2_grpc.RouterServiceStub(channel).Stream()
        await raised.wait()
        call.cancel()


def levels(caplog: pytest.LogCaptureFixture) -> set[int]:
    """Return the levels of what was logged about calls."""
    return {record.levelno for record in caplog.records if "Stream" in record.getMessage()}


async def test_clients_that_vanish_while_they_are_answered_are_no_failure(
    caplog: pytest.LogCaptureFixture,
):
    begun = anyio.Event()

    async def answer(context: Context) -> None:
        begun.set()
        await to_client(write_frames(context, [(DATA, LARGE)]))

    def register(server: grpc.aio.Server) -> None:
        router_pb2_grpc.add_RouterServiceServicer_to_server(OneMethod(answer), server)

    async with (
        serve(register, [Bind("127.0.0.1:0")]) as (port,),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        for _ in range(10):
            begun = anyio.Event()
            call = router_pb2_grpc.RouterServiceStub(channel).Stream()
            await begun.wait()
            await anyio.wait_all_tasks_blocked()
            call.cancel()
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_a_client_that_vanished_is_told_when_debugging(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    await raised_while_serving(batch_error(VANISHED))
    assert levels(caplog) == {logging.DEBUG}
    assert "a client left before it had its answer" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        batch_error("Failed grpc_call_start_batch: 8 with grpc_call_error value: 'too many'"),
        ValueError(VANISHED),
    ],
)
async def test_other_failures_are_told(caplog: pytest.LogCaptureFixture, error: Exception):
    await raised_while_serving(error)
    assert levels(caplog) == {logging.ERROR}


async def test_a_handler_whose_client_vanished_is_cancelled_although_grpc_did_not_hear_of_it():
    async def send(error: Exception) -> None:
        raise error

    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(asyncio.CancelledError):
        await to_client(send(batch_error(VANISHED)))
    assert task.uncancel() == 0
    with pytest.raises(ValueError, match="other"):
        await to_client(send(ValueError("other")))
