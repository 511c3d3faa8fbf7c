"""Copying between two byte streams, both ways, without looking at a byte.

An end of file is passed on and nothing else ends in one: when a direction fails, both streams are
reset, so that neither peer can take a cut transfer for a complete one. Nothing is logged and
nothing is queued here: a chunk is sent before the next one is received.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol, TypeAlias, cast, runtime_checkable

import anyio
from anyio.abc import ByteReceiveStream, ByteStream, ObjectStream, SocketAttribute, TaskGroup

from .duplex import CHUNK_SIZE
from .sockets import reset_when_closed

__all__ = [
    "CHUNK_SIZE",
    "AnyByteStream",
    "Resettable",
    "copy_stream",
    "forward_stream",
    "pump",
    "reset_stream",
]

AnyByteStream: TypeAlias = ObjectStream[bytes] | ByteStream
"""What can be forwarded: a stream of bytes, whether or not its chunks have a meaning."""

RESET_SECONDS = 5.0
"""How long a failed relay waits for a stream to be reset."""

_STREAM_ERRORS = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError)


@runtime_checkable
class Resettable(Protocol):
    """A stream that can be closed so that its peer sees a failure instead of an end of file."""

    async def reset(self) -> None:
        """Close abruptly; idempotent, and allowed after `aclose`."""
        ...


class ReceivesMany(Protocol):
    """A stream of small items that can hand over those that are there, in one go."""

    async def receive_many(self) -> Sequence[bytes]:
        """Wait for one item; return it and those that came with it, in order."""
        ...


class SendsMany(Protocol):
    """A stream for which several small items cost little more than one."""

    async def send_many(self, items: Sequence[bytes]) -> None:
        """Send `items` in order, each for itself."""
        ...


ReceiveMany: TypeAlias = Callable[[], Awaitable[Sequence[bytes]]]
SendMany: TypeAlias = Callable[[Sequence[bytes]], Awaitable[None]]


@asynccontextmanager
async def forward_stream(a: AnyByteStream, b: AnyByteStream) -> AsyncGenerator[None]:
    """Enter both streams and copy both ways beside the body; at its end, wait for both copies.

    When a direction fails the body is cancelled, both streams are reset and BrokenResourceError
    is raised. When the body raises, both streams are reset and its exception goes on.
    """
    async with a, b, relay(a, b) as tasks:
        tasks.start_soon(copy_stream, b, a)
        tasks.start_soon(copy_stream, a, b)
        yield


async def pump(a: AnyByteStream, b: AnyByteStream) -> None:
    """Copy both ways until both streams have ended; the caller owns and closes them.

    Each end of file is passed on as a half-close. When a direction fails both streams are reset
    and BrokenResourceError is raised.
    """
    async with relay(a, b) as tasks:
        tasks.start_soon(copy_stream, b, a)
        await copy_stream(a, b)


async def copy_stream(dst: AnyByteStream, src: AnyByteStream) -> None:
    """Send to `dst` all that `src` receives, then the end of file where `dst` can be told one."""
    await copy_bytes(dst, src)
    await pass_on_eof(dst)


async def copy_bytes(dst: AnyByteStream, src: AnyByteStream) -> None:
    """Send to `dst` all that `src` receives, and no end of file."""
    # Asked for by name: isinstance with a protocol costs as much as opening a socket.
    receive_many: ReceiveMany | None = getattr(src, "receive_many", None)
    if receive_many is not None:
        await _copy_many(dst, receive_many)
    elif isinstance(src, ByteReceiveStream):
        with suppress(anyio.EndOfStream):
            while True:
                await dst.send(await src.receive(CHUNK_SIZE))
    else:
        async for chunk in src:
            await dst.send(chunk)


async def _copy_many(dst: AnyByteStream, receive_many: ReceiveMany) -> None:
    send_many: SendMany | None = getattr(dst, "send_many", None)
    with suppress(anyio.EndOfStream):
        while True:
            items = await receive_many()
            if send_many is not None:
                await send_many(items)
            else:
                for item in items:
                    await dst.send(item)


async def reset_stream(stream: AnyByteStream) -> None:
    """Close `stream` so that its peer sees a failure, as far as the stream is able to.

    Never raises: there is nobody left to tell.
    """
    with anyio.move_on_after(RESET_SECONDS, shield=True), suppress(*_STREAM_ERRORS):
        if isinstance(stream, Resettable):
            await stream.reset()
        else:
            # A stream of another package, perhaps over a TCP socket.
            sock = stream.extra(SocketAttribute.raw_socket, None)
            if sock is not None:
                reset_when_closed(sock)
            await stream.aclose()


@asynccontextmanager
async def relay(a: AnyByteStream, b: AnyByteStream) -> AsyncGenerator[TaskGroup]:
    """Yield a task group for copies between `a` and `b`.

    When one of them fails both streams are reset and BrokenResourceError is raised; a failure that
    is none of a stream comes out as itself.
    """
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        await reset_stream(a)
        await reset_stream(b)
        failure = _failure(group)
        # Its own cause, and not the group that it has just been taken from.
        raise failure from failure.__cause__


async def pass_on_eof(stream: AnyByteStream) -> None:
    """Tell the peer of `stream` that nothing follows, where it is there and can be told."""
    # A stream of another package may lack the method, and a peer that has left needs no end of
    # file: what still comes from it, or its failure, is seen by the other direction.
    send_eof = getattr(stream, "send_eof", None)
    if send_eof is not None:
        with suppress(NotImplementedError, *_STREAM_ERRORS):
            await send_eof()


def _failure(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one exception that says what went wrong in a relay."""
    _, unexpected = group.split(_STREAM_ERRORS)
    leaves = _leaves(group if unexpected is None else unexpected)
    if unexpected is None:
        broken = anyio.BrokenResourceError(str(leaves[0]))
        broken.__cause__ = leaves[0]
        return broken
    return leaves[0] if len(leaves) == 1 else unexpected


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for part in group.exceptions:
        if isinstance(part, BaseExceptionGroup):
            leaves.extend(_leaves(cast("BaseExceptionGroup[BaseException]", part)))
        else:
            leaves.append(part)
    return leaves
