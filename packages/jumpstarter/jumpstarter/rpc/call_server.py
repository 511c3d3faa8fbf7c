"""The server of a socket of calls: a thread for each connection."""

import asyncio
import math
import socket
from collections.abc import AsyncGenerator, Callable
from concurrent import futures
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from pathlib import Path

from anyio import CapacityLimiter, to_thread
from anyio.abc import SocketAttribute

from jumpstarter.streams.listeners import TemporaryUnixListener
from jumpstarter.streams.sockets import SocketStream

from .call_socket import Answer, receive, send


@asynccontextmanager
async def serve_calls(
    path: Path, answer: Callable[[socket.socket, bytes], Answer]
) -> AsyncGenerator[None]:
    """Serve calls on the Unix socket `path`, each connection in a thread of its own.

    `answer` is given the connection, to see when its client leaves, and the message of a request;
    `anyio.from_thread` works in it. Leaving ends the connections and waits for no thread. Raises
    OSError when the path cannot be had.
    """
    # A connection that nobody uses keeps its thread, and takes it from nobody.
    limiter = CapacityLimiter(math.inf)

    async def attend(stream: SocketStream) -> None:
        conversation = _Conversation(stream.extra(SocketAttribute.raw_socket).dup(), answer)
        try:
            await to_thread.run_sync(conversation.hold, abandon_on_cancel=True, limiter=limiter)
        finally:
            conversation.end()

    async with TemporaryUnixListener(attend, path):
        yield


class _Conversation:
    """Requests and answers of one connection."""

    def __init__(
        self, connection: socket.socket, answer: Callable[[socket.socket, bytes], Answer]
    ) -> None:
        connection.setblocking(True)  # noqa: FBT003 - its own signature
        self._connection = connection
        self._answer = answer
        self._begun = False

    def hold(self) -> None:
        """Answer until either side ends it; called in a thread."""
        self._begun = True
        ends = (OSError, futures.CancelledError, asyncio.CancelledError)
        with self._connection, suppress(*ends):
            while (request := receive(self._connection)) is not None:
                # What a call sets in its context is not seen by the next.
                answer = copy_context().run(self._answer, self._connection, request[1])
                send(self._connection, *answer)

    def end(self) -> None:
        """Wake the thread, which may wait for a request, or close in its place."""
        if not self._begun:
            self._connection.close()
            return
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
