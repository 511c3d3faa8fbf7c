"""The top of every call: requests are decoded here, refusals become statuses, and nothing escapes.

It is also where calls end when the controller stops: those that only wait are ended at once, with
the status at which clients and exporters connect again; those that change something are let finish.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import anyio
import grpc
from google.protobuf.message import DecodeError
from grpc.aio import AbortError, ServerInterceptor, ServicerContext
from jumpstarter.logging import set_log_context
from typing_extensions import override

from .auth import remote_ip
from .errors import LabError
from .statuses import ACTUAL_STATUS, Code, Refusal, refusal_of

logger = logging.getLogger(__name__)

PLAIN_SERVICES: Final = (
    "/jumpstarter.v1.ControllerService/",
    "/jumpstarter.client.v1.ClientService/",
)
"""Services that released programs call."""

STOPPING: Final = "the controller is stopping; try again"

Context = ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Awaitable[Any]]


class Drain:
    """Ends what waits when the controller stops."""

    def __init__(self) -> None:
        """Begin with nothing that waits."""
        self._scopes: set[anyio.CancelScope] = set()
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether the controller stops."""
        return self._stopping

    def begin(self) -> None:
        """End all that waits, now and from now on."""
        self._stopping = True
        for scope in list(self._scopes):
            scope.cancel()

    @asynccontextmanager
    async def waiting(self) -> AsyncGenerator[None]:
        """Run a block that may wait for long. Raises Refusal when the controller stops."""
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                if self._stopping:
                    scope.cancel()
                yield
            finally:
                self._scopes.discard(scope)
        if scope.cancelled_caught:
            raise Refusal(Code.UNAVAILABLE, STOPPING)


class Boundary(ServerInterceptor):
    """Wraps every handler of a server; handlers of streams write to their context."""

    def __init__(self, drain: Drain) -> None:
        """Let streams end by `drain`."""
        self._drain = drain

    @override
    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of the call with this boundary around it."""
        handler = cast("Any", await continuation(handler_call_details))
        if handler is None:
            return handler
        method = str(cast("Any", handler_call_details).method)
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                cast("Any", self._unary(method, handler)), None, handler.response_serializer
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                cast("Any", self._stream(method, handler)), None, handler.response_serializer
            )
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                cast("Any", self._both(method, handler)), None, handler.response_serializer
            )
        return handler

    def _unary(self, method: str, handler: Any) -> Behaviour:
        async def behaviour(data: bytes, context: Context) -> Any:
            async with _answered(method, context):
                return await handler.unary_unary(_decode(handler, data), context)

        return behaviour

    def _stream(self, method: str, handler: Any) -> Behaviour:
        async def behaviour(data: bytes, context: Context) -> None:
            async with _answered(method, context), self._drain.waiting():
                await handler.unary_stream(_decode(handler, data), context)

        return behaviour

    def _both(self, method: str, handler: Any) -> Behaviour:
        async def behaviour(data: AsyncIterator[bytes], context: Context) -> None:
            async with _answered(method, context), self._drain.waiting():
                requests = (_decode(handler, item) async for item in data)
                await handler.stream_stream(requests, context)

        return behaviour


def _decode(handler: Any, data: bytes) -> Any:
    try:
        return handler.request_deserializer(data)
    except (DecodeError, ValueError):
        raise Refusal(Code.INVALID_ARGUMENT, "the request is not a message of this call") from None


@asynccontextmanager
async def _answered(method: str, context: Context) -> AsyncGenerator[None]:
    """Turn what a handler raises into the status of its call."""
    set_log_context(peer=remote_ip(context.peer()))
    try:
        yield
    except AbortError:
        raise
    except Exception as error:  # noqa: BLE001 - the top of a served call
        await _abort(context, _refusal(method, _single(error)))


def _refusal(method: str, error: Exception) -> Refusal:
    match error:
        case Refusal():
            return error
        case LabError():
            return refusal_of(error, plain=method.startswith(PLAIN_SERVICES))
        case _:
            logger.error("the call %s failed", method, exc_info=error)
            return Refusal(Code.INTERNAL, "the controller failed; its log says why")


def _single(error: Exception) -> Exception:
    """Return what a task group wrapped: of several failures, the first one."""
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    return error


async def _abort(context: Context, refusal: Refusal) -> None:
    actual = ((ACTUAL_STATUS, refusal.actual.name),)
    await context.abort(refusal.code, refusal.details, actual)
