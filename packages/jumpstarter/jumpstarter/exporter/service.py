"""The services of one socket of a session: who may call, and how failures are told.

This is the top of a served connection: every handler catches whatever a driver raises, and ends the
call with the status from the one table. A socket admits calls in the statuses that it was given;
status, report and log can be read always.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Never, Protocol, TypeAlias, cast
from uuid import UUID

import anyio
import grpc
from anyio.abc import ObjectStream
from google.protobuf import empty_pb2
from grpc.aio import ServicerContext
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc
from typing_extensions import override

from jumpstarter.driver.base import Driver
from jumpstarter.driver.workers import Workers, use_workers
from jumpstarter.model.codes import Code, carried_details, exception_to_status
from jumpstarter.model.errors import ExporterNotReady, MethodNotFoundError
from jumpstarter.model.frames import (
    DATAGRAMS_KEY,
    REQUEST_KEY,
    STATE_KEY,
    STATE_OPEN,
    STATE_REFUSED,
)
from jumpstarter.model.requests import parse_stream_request
from jumpstarter.model.status import (
    HOLD_SECONDS,
    STATUS_AFTER_KEY,
    ExporterStatus,
    LogSource,
)
from jumpstarter.rpc.router_stream import RouterStream
from jumpstarter.rpc.vanishing import to_client
from jumpstarter.streams.broadcast import Broadcast
from jumpstarter.streams.forwarding import copy_bytes, copy_stream, pass_on_eof, relay, reset_stream
from jumpstarter.streams.metadata import MetadataStreamAttributes

from .in_progress import InProgress
from .logging import record_to_response
from .state import SessionState

logger = logging.getLogger(__name__)

Context = ServicerContext[Any, Any]

# A driver that exits, or waits for a task that it has cancelled, ends its call and nothing else.
FAILURES = (Exception, SystemExit, asyncio.CancelledError)


Rows: TypeAlias = "list[tuple[UUID, Driver | None, str | None, Driver]]"


class Served(Protocol):
    """What the service needs of a session."""

    uuid: UUID
    labels: dict[str, str]
    motd: str | None
    mapping: dict[UUID, Driver]
    rows: Rows
    state: SessionState
    log: Broadcast[logging.LogRecord]
    sources: dict[str, LogSource]
    end_requested: anyio.Event | None


class SessionService(jumpstarter_pb2_grpc.ExporterServiceServicer):
    """Answers the calls of one socket."""

    def __init__(
        self, session: Served, allowed: frozenset[ExporterStatus], workers: Workers
    ) -> None:
        """Serve `session`; drivers can be called in the statuses `allowed`.

        Their plain methods run in `workers`.
        """
        self.in_progress = InProgress()
        """The calls that use drivers."""
        self._session = session
        self._allowed = allowed
        self._workers = workers

    def close(self) -> None:
        """Accept no calls any more, in no status."""
        self._allowed = frozenset[ExporterStatus]()

    @override
    async def GetReport(
        self, request: empty_pb2.Empty, context: Context
    ) -> jumpstarter_pb2.GetReportResponse:
        session = self._session
        return jumpstarter_pb2.GetReportResponse(
            uuid=str(session.uuid),
            labels=session.labels,
            reports=tree_reports(session.rows),
            motd=session.motd or "",
        )

    @override
    async def DriverCall(
        self, request: jumpstarter_pb2.DriverCallRequest, context: Context
    ) -> jumpstarter_pb2.DriverCallResponse:
        try:
            return await self.call(request, context)
        except FAILURES as error:
            if is_cancellation(error):
                raise
            await refuse(context, error)

    @override
    async def StreamingDriverCall(  # pyright: ignore[reportIncompatibleMethodOverride] - writes to the context
        self, request: jumpstarter_pb2.StreamingDriverCallRequest, context: Context
    ) -> None:
        # Written out, not yielded: when the client leaves, the driver's generator is closed here
        # and now, not when the garbage collector comes by.
        try:
            with self.in_progress:
                driver = self.driver(request.uuid)
                async with aclosing(driver.StreamingDriverCall(request, context)) as responses:
                    async for response in responses:
                        await to_client(context.write(response))
        except FAILURES as error:
            if is_cancellation(error):
                raise
            await refuse(context, error)

    async def Stream(  # noqa: N802 - the name of the RPC
        self, requests: AsyncIterator[bytes], context: Context
    ) -> None:
        """Serve RouterService's Stream, with bytes for messages."""
        del requests
        opened = False
        try:
            request = parse_stream_request(_metadata(context).get(REQUEST_KEY))
            driver = self.driver(str(request.uuid))
            with self.in_progress:
                async with driver.Stream(request, context) as stream:
                    router = _router_stream(context)
                    async with reset_unless_finished(router, stream):
                        metadata = ((STATE_KEY, STATE_OPEN), *_stream_metadata(stream).items())
                        await to_client(context.send_initial_metadata(metadata))
                        opened = True
                        await carry(router, stream)
        except FAILURES as error:
            if is_cancellation(error):
                raise
            if not opened:
                await to_client(context.send_initial_metadata(((STATE_KEY, STATE_REFUSED),)))
            await refuse(context, error)

    @override
    async def LogStream(  # pyright: ignore[reportIncompatibleMethodOverride] - writes to the context
        self, request: empty_pb2.Empty, context: Context
    ) -> None:
        async with self._session.log.subscribe() as records:
            # The reader may rely on seeing what happens from here on.
            await to_client(context.send_initial_metadata(()))
            async for record in records:
                response = record_to_response(record, self._session.sources)
                await to_client(context.write(response))

    @override
    async def GetStatus(
        self, request: jumpstarter_pb2.GetStatusRequest, context: Context
    ) -> jumpstarter_pb2.GetStatusResponse:
        known = _metadata(context).get(STATUS_AFTER_KEY)
        if known is None:
            now = self._session.state.current
        else:
            await to_client(context.send_initial_metadata(((STATUS_AFTER_KEY, "held"),)))
            now = await self._session.state.after(str(known), HOLD_SECONDS)
        return jumpstarter_pb2.GetStatusResponse(
            status=cast("Any", now.status.to_proto()),
            message=now.message,
            status_version=now.version,
            previous_status=None if now.previous is None else cast("Any", now.previous.to_proto()),
        )

    @override
    async def EndSession(
        self, request: jumpstarter_pb2.EndSessionRequest, context: Context
    ) -> jumpstarter_pb2.EndSessionResponse:
        requested = self._session.end_requested
        if requested is None:
            return jumpstarter_pb2.EndSessionResponse(
                success=False, message="No active lease context"
            )
        requested.set()
        return jumpstarter_pb2.EndSessionResponse(success=True)

    async def call(
        self, request: jumpstarter_pb2.DriverCallRequest, context: Context | None = None
    ) -> jumpstarter_pb2.DriverCallResponse:
        """Return the answer to a unary call; raises what keeps it from being made, or ends it."""
        with self.in_progress:
            use_workers(self._workers)
            return await self.driver(request.uuid).DriverCall(request, context)

    def driver(self, uuid: str) -> Driver:
        """Return the driver to use.

        Raises ExporterNotReady outside the allowed statuses, ValueError for text that is no uuid,
        MethodNotFoundError for a driver that is not in the tree.
        """
        now = self._session.state.current
        if now.status not in self._allowed:
            message = f"exporter status is {now.status}: it accepts no calls now"
            raise ExporterNotReady(message)
        driver = self._session.mapping.get(UUID(uuid))
        if driver is None:
            message = f"no driver with uuid {uuid} in this session"
            raise MethodNotFoundError(message)
        return driver


def tree_reports(rows: Rows) -> list[jumpstarter_pb2.DriverInstanceReport]:
    """Return what is told about each driver of a tree, parents before their children."""
    return [driver.report(parent=parent, name=name) for _, parent, name, driver in rows]


@asynccontextmanager
async def reset_unless_finished(
    router: RouterStream, stream: ObjectStream[bytes]
) -> AsyncGenerator[None]:
    """Reset the driver's stream when the body is cancelled, or fails, before the client finished.

    That is how a client that vanishes is seen: its target must see a failure too.
    """
    try:
        yield
    except FAILURES:
        if not router.half_closed:
            await reset_stream(stream)
        raise


async def carry(router: RouterStream, stream: ObjectStream[bytes]) -> None:
    """Copy between a client's stream and a driver's until both ended or the client closed its own.

    Where one of them fails, both are reset.
    """
    ends = _Ends()
    async with relay(router, stream) as tasks:
        tasks.start_soon(_to_driver, router, stream, ends, tasks.cancel_scope)
        await copy_bytes(router, stream)
        # Once both directions have ended the call does, which is an end of file too.
        if not (ends.driver and router.extended):
            await pass_on_eof(router)
        ends.client = True
        if ends.driver:
            tasks.cancel_scope.cancel()


@dataclass
class _Ends:
    """Who has been given everything, to its end."""

    client: bool = False
    driver: bool = False


async def _to_driver(
    router: RouterStream, stream: ObjectStream[bytes], ends: _Ends, scope: anyio.CancelScope
) -> None:
    await copy_stream(stream, router)
    ends.driver = True
    if not ends.client:
        # The driver may go on sending for ever to a client that has left.
        await router.wait_released()
        scope.cancel()


def is_cancellation(error: BaseException) -> bool:
    """Return whether `error` is the end of this call from outside, and not of a driver's making."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


async def refuse(context: Context, error: BaseException) -> Never:
    """End the call with the status for `error`; the unforeseen is logged with its traceback."""
    await context.abort(*status_of(error))


def status_of(error: BaseException) -> tuple[grpc.StatusCode, str]:
    """Return the status, and its details, for what ended a call, and log what is unforeseen."""
    if isinstance(error, anyio.BrokenResourceError):
        return grpc.StatusCode.UNAVAILABLE, carried_details(f"stream broken: {error}")
    status = exception_to_status(error)
    if status.code is Code.UNKNOWN:
        logger.warning("a call failed: %s", status.details, exc_info=error)
    return grpc.StatusCode[status.code.name], status.details


def _router_stream(context: Context) -> RouterStream:
    extended = _metadata(context).get(STATE_KEY) == STATE_OPEN
    return RouterStream(context=context, raw=True, extended=extended)


def _metadata(context: Context) -> dict[str, str | bytes]:
    return dict(context.invocation_metadata() or ())


def _stream_metadata(stream: ObjectStream[bytes]) -> Mapping[str, str]:
    empty: dict[str, str] = {}
    own = stream.extra(MetadataStreamAttributes.metadata, empty)
    return {**own, DATAGRAMS_KEY: "1"} if hasattr(stream, "receive_many") else own
