"""Whatever a handler raises becomes a status; a defect is told to nobody but the log."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from grpc.aio import AioRpcError, Server
from jumpstarter.rpc.channels import connect, unix_target
from jumpstarter.rpc.servers import serve, unix_bind
from jumpstarter.streams.listeners import TemporarySocket
from jumpstarter_protocol import (
    admin_pb2,
    admin_pb2_grpc,
    jumpstarter_pb2,
    jumpstarter_pb2_grpc,
)
from jumpstarter_protocol.aio import AdminServiceAsyncStub, ControllerServiceAsyncStub
from typing_extensions import override

from jumpstarter_controller import errors
from jumpstarter_controller.services.boundary import Boundary, Drain
from jumpstarter_controller.services.calls import Context
from jumpstarter_controller.services.statuses import BadForm, Code, Refusal


@dataclass
class Raising(jumpstarter_pb2_grpc.ControllerServiceServicer):
    """Serves calls of released programs, and raises."""

    error: BaseException

    @override
    async def Register(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: jumpstarter_pb2.RegisterRequest, context: Context
    ) -> jumpstarter_pb2.RegisterResponse:
        raise self.error

    @override
    async def Status(  # pyright: ignore[reportIncompatibleMethodOverride] - writes to the context
        self, request: jumpstarter_pb2.StatusRequest, context: Context
    ) -> None:
        await context.write(jumpstarter_pb2.StatusResponse(leased=True))
        async with anyio.create_task_group():
            raise self.error


@dataclass
class RaisingAdmin(admin_pb2_grpc.AdminServiceServicer):
    """Serves a call of newer programs, and raises."""

    error: BaseException

    @override
    async def DeleteClient(  # pyright: ignore[reportIncompatibleMethodOverride] - on grpc.aio
        self, request: admin_pb2.DeleteClientRequest, context: Context
    ) -> Empty:
        raise self.error


@dataclass
class Stubs:
    controller: ControllerServiceAsyncStub
    admin: AdminServiceAsyncStub

    async def statuses(self) -> list[tuple[Code, str | bytes]]:
        """Return how the three calls end: the code, and what it really was."""
        stream = self.controller.Status(jumpstarter_pb2.StatusRequest())
        await stream.read()
        found: list[tuple[Code, str | bytes]] = []
        for call in (
            self.controller.Register(jumpstarter_pb2.RegisterRequest()),
            stream.read(),
            self.admin.DeleteClient(admin_pb2.DeleteClientRequest()),
        ):
            with pytest.raises(AioRpcError) as error:
                await call
            trailing = dict(error.value.trailing_metadata())
            found.append((error.value.code(), trailing["jumpstarter-status"]))
        return found


@asynccontextmanager
async def served(error: BaseException, drain: Drain | None = None) -> AsyncGenerator[Stubs]:
    def register(server: Server) -> None:
        jumpstarter_pb2_grpc.add_ControllerServiceServicer_to_server(Raising(error), server)
        admin_pb2_grpc.add_AdminServiceServicer_to_server(RaisingAdmin(error), server)

    with TemporarySocket() as path:
        async with (
            serve(register, [unix_bind(path)], [Boundary(drain or Drain())]),
            connect(unix_target(path)) as channel,
        ):
            yield Stubs(
                jumpstarter_pb2_grpc.ControllerServiceStub(channel),
                admin_pb2_grpc.AdminServiceStub(channel),
            )


@pytest.mark.parametrize(
    ("error", "plain", "exact"),
    [
        (errors.NotFound("x"), Code.UNKNOWN, Code.NOT_FOUND),
        (errors.AlreadyExists("x"), Code.UNKNOWN, Code.ALREADY_EXISTS),
        (errors.Forbidden("x"), Code.UNKNOWN, Code.PERMISSION_DENIED),
        (errors.InvalidRequest("x"), Code.UNKNOWN, Code.INVALID_ARGUMENT),
        (BadForm("x"), Code.INVALID_ARGUMENT, Code.INVALID_ARGUMENT),
        (errors.WrongState("x"), Code.UNKNOWN, Code.FAILED_PRECONDITION),
        (errors.Busy("x"), Code.UNAVAILABLE, Code.UNAVAILABLE),
        (errors.StoreUnavailable("x"), Code.UNAVAILABLE, Code.UNAVAILABLE),
        (errors.WrongSchema("x"), Code.UNAVAILABLE, Code.UNAVAILABLE),
        (errors.Closed("x"), Code.UNAVAILABLE, Code.UNAVAILABLE),
        (errors.LabError("x"), Code.UNKNOWN, Code.UNKNOWN),
        (Refusal(Code.UNAUTHENTICATED, "x"), Code.UNAUTHENTICATED, Code.UNAUTHENTICATED),
    ],
)
async def test_each_error_has_its_status(error: Exception, plain: Code, exact: Code) -> None:
    async with served(error) as stubs:
        found = await stubs.statuses()

    assert found == [(plain, exact.name), (plain, exact.name), (exact, exact.name)]


async def test_a_defect_is_told_to_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    async with served(ValueError("a secret")) as stubs:
        with caplog.at_level(logging.ERROR), pytest.raises(AioRpcError) as error:
            await stubs.controller.Register(jumpstarter_pb2.RegisterRequest())

    assert error.value.code() is Code.INTERNAL
    assert "secret" not in str(error.value)
    assert "a secret" in caplog.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x" * 10_000, "more bytes"),
        ("lease \ud800 not found", "\\ud800"),
        ("client lab/Expired not found", "client lab/ended not found"),
        ("lease a\nb\x00 not found", r"lease a\nb\x00 not found"),
    ],
)
async def test_a_status_can_be_carried_and_starts_no_login(text: str, told: str) -> None:
    async with served(errors.NotFound(text)) as stubs:
        with pytest.raises(AioRpcError) as error:
            await stubs.controller.Register(jumpstarter_pb2.RegisterRequest())

    assert told in (error.value.details() or "")


async def test_streams_are_refused_when_the_controller_stops() -> None:
    drain = Drain()
    async with served(errors.NotFound("x"), drain) as stubs:
        drain.begin()
        with pytest.raises(AioRpcError) as error:
            await stubs.controller.Status(jumpstarter_pb2.StatusRequest()).read()

    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
