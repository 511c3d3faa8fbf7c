"""The connection to the controller: made when a call needs it, and made anew when it was lost.

All calls share one connection. A call that did not reach the controller gives the connection up:
the next one is made from the beginning, because the controller may be another one by now, with
another certificate. Whatever fails comes out as a ControllerError.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar, cast

import anyio
import grpc
from grpc.aio import AioRpcError, Channel, StreamStreamCall, UnaryStreamCall
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc

from jumpstarter.model import errors
from jumpstarter.rpc.stub_types import ControllerStub
from jumpstarter.rpc.unary import answer

T = TypeVar("T")
ChannelFactory: TypeAlias = Callable[[], Awaitable[Channel]]

CALL_SECONDS: Final = 30.0
"""Seconds that a controller has to answer a call."""

CLOSE_SECONDS: Final = 5.0

_LISTEN: Final = "/jumpstarter.v1.ControllerService/Listen"

_LOST: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})

# Controllers of release 0.9.0 refuse a token or a name as UNKNOWN.
_REFUSALS: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


class ControllerError(errors.ConnectionError):
    """The controller did not answer, or not as asked; `code` says which of the two."""

    def __init__(self, code: grpc.StatusCode, details: str | None) -> None:
        """Keep `code`; the message is the controller's, or gRPC's."""
        super().__init__(details or code.name)
        self.code = code

    @property
    def is_refusal(self) -> bool:
        """Whether the controller answered, and does not want this caller or this call."""
        return self.code in _REFUSALS

    @property
    def is_loss(self) -> bool:
        """Whether the controller could not be reached, or did not answer."""
        return self.code in _LOST


@dataclass(eq=False)
class _Shared:
    """A channel, and how many calls use it."""

    channel: Channel
    stub: ControllerStub
    users: int = 0


class Link:
    """Gives out stubs over one shared connection; made by `open_link`."""

    def __init__(self, channel_factory: ChannelFactory) -> None:
        """Connect with `channel_factory`, later."""
        self._factory = channel_factory
        self._current: _Shared | None = None
        self._making = anyio.Lock()

    @asynccontextmanager
    async def stub(self) -> AsyncGenerator[ControllerStub]:
        """Yield the controller's methods. What fails inside is raised as a ControllerError."""
        async with self._shared() as shared:
            yield shared.stub

    @asynccontextmanager
    async def listen(
        self, lease_name: str
    ) -> AsyncGenerator[AsyncGenerator[jumpstarter_pb2.ListenResponse]]:
        """Ask for the invitations of a lease; when they are yielded, the question is on its way."""
        async with self._shared() as shared:
            # On the wire this is the unary request that it must be. But gRPC says of a stream's
            # message when it has been sent, and of a unary one only when it has been answered.
            method = shared.channel.stream_stream(
                _LISTEN,
                jumpstarter_pb2.ListenRequest.SerializeToString,
                jumpstarter_pb2.ListenResponse.FromString,
            )
            call = method()
            async with messages(call) as invitations:
                await _ask(call, jumpstarter_pb2.ListenRequest(lease_name=lease_name))
                yield invitations

    @asynccontextmanager
    async def _shared(self) -> AsyncGenerator[_Shared]:
        with _translated():
            shared = await self._acquire()
        try:
            with _translated():
                yield shared
        except ControllerError as error:
            if error.is_loss and self._current is shared:
                self._current = None
            raise
        finally:
            shared.users -= 1
            if not shared.users and shared is not self._current:
                await _close(shared)

    async def close(self) -> None:
        """Give up the connection; calls in progress keep theirs until they end."""
        shared, self._current = self._current, None
        if shared is not None and not shared.users:
            await _close(shared)

    async def _acquire(self) -> _Shared:
        async with self._making:
            if self._current is None:
                channel = await self._factory()
                stub = jumpstarter_pb2_grpc.ControllerServiceStub(channel)
                self._current = _Shared(channel, stub)
            self._current.users += 1
            return self._current


@asynccontextmanager
async def open_link(channel_factory: ChannelFactory) -> AsyncGenerator[Link]:
    """Yield a link that connects with `channel_factory`, which may raise as often as it likes."""
    link = Link(channel_factory)
    try:
        yield link
    finally:
        await link.close()


async def told(call: Awaitable[T]) -> T:
    """Return what the controller answers, raising as `call` does.

    A call that ends as cancelled although nobody here wished it is a ControllerError.
    """
    try:
        return await answer(call)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ControllerError(grpc.StatusCode.CANCELLED, "the call was cancelled") from None


@asynccontextmanager
async def messages(
    call: UnaryStreamCall[Any, T] | StreamStreamCall[Any, T],
) -> AsyncGenerator[AsyncGenerator[T]]:
    """Yield an iterator over the messages of `call`; leaving cancels the call."""

    async def read() -> AsyncGenerator[T]:
        while (message := await told(call.read())) is not grpc.aio.EOF:
            yield cast("T", message)

    try:
        async with aclosing(read()) as iterator:
            yield iterator
    finally:
        call.cancel()


async def _ask(call: StreamStreamCall[T, Any], request: T) -> None:
    try:
        await told(call.write(request))
        await told(call.done_writing())
    except asyncio.InvalidStateError:
        # It has ended already, and knows why.
        raise ControllerError(await call.code(), await call.details()) from None


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except AioRpcError as error:
        raise ControllerError(error.code(), error.details()) from None
    except ControllerError:
        raise
    except errors.ConnectionError as error:
        raise ControllerError(grpc.StatusCode.UNAVAILABLE, error.message) from None


async def _close(shared: _Shared) -> None:
    with anyio.move_on_after(CLOSE_SECONDS, shield=True):
        await shared.channel.close()
