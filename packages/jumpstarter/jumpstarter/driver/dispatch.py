"""Runs what a request names on a driver: a call, a streaming call, a byte stream.

Errors are raised as they are; the exporter's service turns them into a status with the one table.
A plain function runs in a worker thread, so that a driver that blocks stops nobody else.
"""

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import cast

from anyio.abc import ObjectStream
from google.protobuf.struct_pb2 import Value
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model.codes import ResultEncodingError
from jumpstarter.model.errors import ValueEncodingError
from jumpstarter.model.values import decode_value, encode_value

from .decorators import MARKER_DRIVERCALL, MARKER_STREAMCALL, MARKER_STREAMING_DRIVERCALL
from .signatures import convert_arguments, exported
from .threads import iterate_in_thread
from .workers import run_plain


async def call(
    driver: object, request: jumpstarter_pb2.DriverCallRequest
) -> jumpstarter_pb2.DriverCallResponse:
    """Run the exported method that `request` names and return its result.

    Raises MethodNotFoundError, ResultEncodingError, and whatever the method raises.
    """
    method = exported(driver, request.method, MARKER_DRIVERCALL)
    args = _arguments(method, request.args)
    if inspect.iscoroutinefunction(method):
        result = await method(*args)
    else:
        result = await run_plain(method, *args)
    return _response(request, result)


def call_plain(
    driver: object, request: jumpstarter_pb2.DriverCallRequest
) -> jumpstarter_pb2.DriverCallResponse | None:
    """Do as `call` in this thread, or nothing, and return None, where a loop is needed for it."""
    method = exported(driver, request.method, MARKER_DRIVERCALL)
    if inspect.iscoroutinefunction(method):
        return None
    return _response(request, method(*_arguments(method, request.args)))


async def streaming_call(
    driver: object, request: jumpstarter_pb2.StreamingDriverCallRequest
) -> AsyncGenerator[jumpstarter_pb2.StreamingDriverCallResponse, None]:
    """Yield what the exported generator that `request` names yields.

    Raises as `call` does; items that came before an error are delivered first.
    """
    method = exported(driver, request.method, MARKER_STREAMING_DRIVERCALL)
    args = _arguments(method, request.args)
    async with aclosing(_items(method, args)) as items:
        async for item in items:
            yield jumpstarter_pb2.StreamingDriverCallResponse(
                uuid=request.uuid, result=_result(item, request.method)
            )


def open_stream(driver: object, method: str) -> AbstractAsyncContextManager[ObjectStream[bytes]]:
    """Return the context manager that opens the exported stream `method`.

    Raises MethodNotFoundError.
    """
    function = exported(driver, method, MARKER_STREAMCALL)
    return cast("AbstractAsyncContextManager[ObjectStream[bytes]]", function())


async def _items(method: Callable[..., object], args: list[object]) -> AsyncGenerator[object, None]:
    if inspect.isasyncgenfunction(method):
        generator = cast("AsyncGenerator[object, None]", method(*args))
        async with aclosing(generator):
            async for item in generator:
                yield item
    else:
        produce = cast("Callable[[], Iterable[object]]", lambda: method(*args))
        async with iterate_in_thread(produce) as items:
            stream: AsyncIterator[object] = items
            async for item in stream:
                yield item


def _arguments(method: Callable[..., object], values: Iterable[Value]) -> list[object]:
    return convert_arguments(method, [decode_value(value) for value in values])


def _response(
    request: jumpstarter_pb2.DriverCallRequest, result: object
) -> jumpstarter_pb2.DriverCallResponse:
    return jumpstarter_pb2.DriverCallResponse(
        uuid=request.uuid, result=_result(result, request.method)
    )


def _result(value: object, method: str) -> Value:
    try:
        return encode_value(value, f"result of {method}")
    except ValueEncodingError as error:
        raise ResultEncodingError(str(error)) from error
