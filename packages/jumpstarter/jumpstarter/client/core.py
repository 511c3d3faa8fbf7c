"""`AsyncDriverClient`: calls, streams and resources of one driver, over an exporter's services.

Errors of a driver arrive as the classes of `jumpstarter.model.errors`, by the one table.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from anyio.abc import ObjectStream
from grpc.aio import AioRpcError
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model.errors import DriverError as DriverError
from jumpstarter.model.errors import DriverInvalidArgument as DriverInvalidArgument
from jumpstarter.model.errors import DriverMethodNotImplemented as DriverMethodNotImplemented
from jumpstarter.model.errors import ExporterNotReady as ExporterNotReady
from jumpstarter.model.errors import ValueEncodingError
from jumpstarter.model.metadata import Metadata
from jumpstarter.model.stream_requests import (
    driver_stream_request,
    offer_answer,
    resource_stream_request,
)
from jumpstarter.model.values import decode_value, encode_value
from jumpstarter.rpc.opening import connect_stream
from jumpstarter.rpc.unary import answer
from jumpstarter.streams.metadata import MetadataStreamAttributes

from .errors import call_error, cause, stream_error
from .lending import lend
from .logs import log_stream
from .offers import offered_stream
from .status import StatusCalls


@dataclass(kw_only=True)
class AsyncDriverClient(Metadata, StatusCalls):
    """The client of one driver, for code that runs on the event loop of its channel."""

    stub: Any
    log_level: str = "INFO"
    logger: logging.Logger = field(init=False)

    def __post_init__(self) -> None:
        """Make the logger, named after the class."""
        inherited = getattr(super(), "__post_init__", None)
        if inherited is not None:
            inherited()
        self.logger = logging.getLogger(type(self).__name__)
        self.logger.setLevel(self.log_level)

    async def call_async(self, method: str, *args: object) -> Any:  # noqa: ANN401 - what the driver returns
        """Call an exported method and return its result.

        Raises DriverInvalidArgument for an argument that cannot be carried or that the driver
        refused, DriverMethodNotImplemented, ExporterNotReady, and DriverError for the rest.
        """
        request = call_request(self.uuid, method, args)
        try:
            response = await answer(self.stub.DriverCall(request))
        except AioRpcError as error:
            raise call_error(error, method) from cause(error)
        return decode_value(response.result)

    async def streamingcall_async(self, method: str, *args: object) -> AsyncGenerator[Any, None]:
        """Call an exported generator and yield its items; closing this one stops that one.

        Raises as `call_async` does, after the items that came before.
        """
        request = jumpstarter_pb2.StreamingDriverCallRequest(
            uuid=str(self.uuid), method=method, args=_encode(method, args)
        )
        responses = self.stub.StreamingDriverCall(request)
        try:
            async for response in responses:
                yield decode_value(response.result)
        except AioRpcError as error:
            raise stream_error(error) from cause(error)
        finally:
            responses.cancel()

    @asynccontextmanager
    async def stream_async(self, method: str) -> AsyncGenerator[ObjectStream[bytes]]:
        """Open the byte stream `method` and yield it.

        Raises DriverError with the exporter's own words when it refuses, for example because the
        target cannot be reached.
        """
        async with self._open(driver_stream_request(self.uuid, method)) as stream:
            yield stream

    @asynccontextmanager
    async def resource_async(
        self, stream: ObjectStream[bytes], content_encoding: str | None = None
    ) -> AsyncGenerator[dict[str, object]]:
        """Offer `stream` to the driver and yield the handle to pass as an argument.

        `content_encoding` says how the bytes of `stream` are compressed; the driver sees them
        plain. The driver reads what `stream` yields, and what it writes is sent to `stream`.
        """
        request = resource_stream_request(self.uuid, content_encoding)
        async with self._open(request) as remote:
            answer = offer_answer(remote.extra(MetadataStreamAttributes.metadata))
            local = offered_stream(stream, None if answer.decompresses else content_encoding)
            async with lend(remote, local):
                yield answer.handle

    @asynccontextmanager
    async def log_stream_async(self, show_all_logs: bool = True) -> AsyncGenerator[None]:  # noqa: FBT001, FBT002 - public API
        """Hand the exporter's log records to the local loggers `exporter:*` inside the context.

        With `show_all_logs` false only those of hooks.
        """
        async with log_stream(self.stub, show_all_logs=show_all_logs):
            yield

    @asynccontextmanager
    async def _open(self, request: str) -> AsyncGenerator[ObjectStream[bytes]]:
        try:
            async with connect_stream(self.stub, request) as stream:
                yield stream
        except AioRpcError as error:
            raise stream_error(error) from cause(error)


def call_request(
    uuid: UUID, method: str, args: tuple[object, ...]
) -> jumpstarter_pb2.DriverCallRequest:
    """Return the request that calls `method`; raises DriverInvalidArgument."""
    return jumpstarter_pb2.DriverCallRequest(
        uuid=str(uuid), method=method, args=_encode(method, args)
    )


def _encode(method: str, args: tuple[object, ...]) -> list[Any]:
    try:
        return [
            encode_value(arg, f"argument {index} of {method}")
            for index, arg in enumerate(args, start=1)
        ]
    except ValueEncodingError as error:
        raise DriverInvalidArgument(str(error)) from None
