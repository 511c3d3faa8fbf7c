"""The shared secret of a directly connected exporter, carried in the metadata of every call."""

import hmac
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final, Never, TypeAlias, TypeVar

import grpc
from grpc.aio import (
    ClientCallDetails,
    ClientInterceptor,
    Metadata,
    ServerInterceptor,
    ServicerContext,
    StreamStreamCall,
    StreamStreamClientInterceptor,
    UnaryStreamCall,
    UnaryStreamClientInterceptor,
    UnaryUnaryCall,
    UnaryUnaryClientInterceptor,
)
from typing_extensions import override

PASSPHRASE_METADATA_KEY: Final = "x-jumpstarter-passphrase"  # noqa: S105 - a key, no secret
Q = TypeVar("Q")
R = TypeVar("R")
Requests: TypeAlias = AsyncIterable[Q] | Iterable[Q]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
MaybeHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"

REFUSAL: Final = "invalid or missing passphrase"


class PassphraseInterceptor(ServerInterceptor):
    """Ends every call without the right passphrase as UNAUTHENTICATED."""

    def __init__(self, passphrase: str) -> None:
        """Keep the secret; it is compared in constant time and never logged."""
        self._passphrase = passphrase.encode()

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MaybeHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> MaybeHandler:
        """Return the handler of the call, or one that refuses it; unknown methods stay unknown."""
        handler = await continuation(handler_call_details)
        given = dict(handler_call_details.invocation_metadata or ()).get(PASSPHRASE_METADATA_KEY)
        if handler is None or self._is_right(given):
            return handler
        return _refusal(handler)

    def _is_right(self, given: str | bytes | None) -> bool:
        if given is None:
            return False
        data = given.encode() if isinstance(given, str) else given
        return hmac.compare_digest(data, self._passphrase)


async def _refuse(_: object, context: ServicerContext[Any, Any]) -> Never:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, REFUSAL)


def _refusal(handler: Handler) -> Handler:
    """Return a handler of the same shape as `handler` that refuses the call."""
    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(_refuse)
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(_refuse)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(_refuse)
    return grpc.unary_unary_rpc_method_handler(_refuse)


class _Passphrase:
    """Puts the passphrase into the metadata of an outgoing call."""

    def __init__(self, passphrase: str) -> None:
        self._entry = (PASSPHRASE_METADATA_KEY, passphrase)

    def add(self, details: ClientCallDetails) -> ClientCallDetails:
        metadata = Metadata(*(details.metadata or ()), self._entry)
        return ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )


class _UnaryUnary(_Passphrase, UnaryUnaryClientInterceptor):
    @override
    async def intercept_unary_unary(
        self,
        continuation: Callable[[ClientCallDetails, Q], Awaitable[UnaryUnaryCall[Q, R]]],
        client_call_details: ClientCallDetails,
        request: Q,
    ) -> R | UnaryUnaryCall[Q, R]:
        return await continuation(self.add(client_call_details), request)


class _UnaryStream(_Passphrase, UnaryStreamClientInterceptor):
    @override
    async def intercept_unary_stream(
        self,
        continuation: Callable[[ClientCallDetails, Q], Awaitable[UnaryStreamCall[Q, R]]],
        client_call_details: ClientCallDetails,
        request: Q,
    ) -> AsyncIterator[R] | UnaryStreamCall[Q, R]:
        return await continuation(self.add(client_call_details), request)


class _StreamStream(_Passphrase, StreamStreamClientInterceptor):
    @override
    async def intercept_stream_stream(
        self,
        continuation: Callable[[ClientCallDetails, Requests[Q]], Awaitable[StreamStreamCall[Q, R]]],
        client_call_details: ClientCallDetails,
        request_iterator: Requests[Q],
    ) -> AsyncIterator[R] | StreamStreamCall[Q, R]:
        return await continuation(self.add(client_call_details), request_iterator)


def passphrase_client_interceptors(passphrase: str) -> list[ClientInterceptor]:
    """Return interceptors for a channel whose calls carry `passphrase`."""
    return [_UnaryUnary(passphrase), _UnaryStream(passphrase), _StreamStream(passphrase)]
