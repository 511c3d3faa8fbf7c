"""The top of every call: requests are decoded here, refusals become statuses, and nothing escapes.

It is also where calls end when the controller stops: those that only wait are ended at once, with
the status at which clients and exporters connect again; those that change something are let finish.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, nullcontext
from typing import Any, Final, Protocol, TypeAlias, cast

import anyio
import grpc
from google.protobuf.message import DecodeError, Message
from grpc.aio import AbortError, ServerInterceptor, ServicerContext
from jumpstarter.logging import set_log_context
from typing_extensions import override

from jumpstarter_controller.errors import LabError
from jumpstarter_controller.failures import first_of

from .auth import remote_ip
from .statuses import ACTUAL_STATUS, Code, Refusal, refusal_of

logger = logging.getLogger(__name__)

PLAIN_SERVICES: Final = (
    "/jumpstarter.v1.ControllerService/",
    "/jumpstarter.client.v1.ClientService/",
)
"""Services that released programs call."""

WAITING: Final = frozenset({"/jumpstarter.v1.ControllerService/Dial"})
"""Calls with one answer that may wait for long, and change nothing."""

STOPPING: Final = "the controller is stopping; try again"

Context = ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behaviour = Callable[[Any, Context], Awaitable[Any]]


class Servant(Protocol):
    """What is used of a handler that was made for grpc.aio; grpc's types know the other kind."""

    request_deserializer: Callable[[bytes], Message]
    response_serializer: Callable[[Message], bytes]
    unary_unary: Behaviour | None
    unary_stream: Behaviour | None
    stream_stream: Behaviour | None


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
        if self._stopping:
            raise Refusal(Code.UNAVAILABLE, STOPPING)
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
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
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the handler of the call with this boundary around it."""
        handler = await continuation(handler_call_details)
        method = str(cast("Any", handler_call_details).method)
        return None if handler is None else self._bounded(method, handler)

    def _bounded(self, method: str, handler: "Handler") -> "Handler":
        servant = cast("Servant", handler)
        answer = cast("Any", servant.response_serializer)
        if servant.unary_unary is not None:
            behaviour: Any = self._unary(method, servant, servant.unary_unary)
            return grpc.unary_unary_rpc_method_handler(behaviour, None, answer)
        if servant.unary_stream is not None:
            behaviour = self._stream(method, servant, servant.unary_stream)
            return grpc.unary_stream_rpc_method_handler(behaviour, None, answer)
        if servant.stream_stream is not None:
            behaviour = self._both(method, servant, servant.stream_stream)
            return grpc.stream_stream_rpc_method_handler(behaviour, None, answer)
        return handler

    def _unary(self, method: str, servant: Servant, serve: Behaviour) -> Behaviour:
        waits = self._drain.waiting if method in WAITING else nullcontext

        async def behaviour(data: bytes, context: Context) -> Message:
            async with _answered(method, context), waits():
                return await serve(_decode(servant, data), context)

        return behaviour

    def _stream(self, method: str, servant: Servant, serve: Behaviour) -> Behaviour:
        async def behaviour(data: bytes, context: Context) -> None:
            async with _answered(method, context), self._drain.waiting():
                await serve(_decode(servant, data), context)

        return behaviour

    def _both(self, method: str, servant: Servant, serve: Behaviour) -> Behaviour:
        async def behaviour(data: AsyncIterator[bytes], context: Context) -> None:
            async with (
                _answered(method, context),
                self._drain.waiting(),
                aclosing(_decoded(servant, data)) as requests,
            ):
                await serve(requests, context)

        return behaviour


def _decode(servant: Servant, data: bytes) -> Message:
    try:
        return servant.request_deserializer(data)
    except (DecodeError, ValueError):
        raise Refusal(Code.INVALID_ARGUMENT, "the request is not a message of this call") from None


async def _decoded(servant: Servant, data: AsyncIterator[bytes]) -> AsyncGenerator[Message]:
    """Yield the requests of a stream, and leave nothing of it behind."""
    # gRPC makes a generator at each `aiter`; nobody else would close it.
    async with aclosing(cast("AsyncGenerator[bytes]", aiter(data))) as items:
        async for item in items:
            yield _decode(servant, item)


@asynccontextmanager
async def _answered(method: str, context: Context) -> AsyncGenerator[None]:
    """Turn what a handler raises into the status of its call."""
    set_log_context(peer=remote_ip(context.peer()))
    try:
        yield
    except AbortError:
        raise
    except Exception as error:  # noqa: BLE001 - the top of a served call
        await _abort(context, _refusal(method, first_of(error)))


def _refusal(method: str, error: Exception) -> Refusal:
    match error:
        case Refusal():
            return error
        case LabError():
            return refusal_of(error, plain=method.startswith(PLAIN_SERVICES))
        case _:
            logger.error("the call %s failed", method, exc_info=error)
            return Refusal(Code.INTERNAL, "the controller failed; its log says why")


async def _abort(context: Context, refusal: Refusal) -> None:
    actual = ((ACTUAL_STATUS, refusal.actual.name),)
    await context.abort(refusal.code, refusal.details, actual)
