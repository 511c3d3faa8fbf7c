"""A local UDP port whose senders each get a stream of their own, for as long as a `with`.

UDP has no connections, so a sender's stream begins with its first datagram and ends when nothing
has passed either way for a while, or when there are too many senders and it is the quietest. Where
a queue is full the datagram is dropped, as on any network.
"""

import errno
import logging
import socket
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias, cast

import anyio
from anyio import AsyncContextManagerMixin
from anyio.abc import ObjectStream, SocketAttribute, TaskGroup
from anyio.lowlevel import checkpoint

from jumpstarter.model.errors import JumpstarterException

from .background import background_tasks
from .binding import bind_ports
from .duplex import MAX_DATAGRAM
from .idle_table import IdleTable

IDLE_SECONDS = 120.0
"""Seconds of silence that end a sender's stream (RFC 4787, section 4.3 asks for two minutes)."""

MAX_SENDERS = 1024
"""Senders that have a stream at the same time."""

QUEUED_DATAGRAMS = 256
"""Datagrams of one sender that wait to be received; those that come then are dropped."""

_BATCH = 64
"""Datagrams taken from the socket, or handed over, before others get their turn."""

_EXPECTED = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
_Address: TypeAlias = tuple[str, int]
_logger = logging.getLogger(__name__)


class SenderStream(ObjectStream[bytes]):
    """The datagrams of one sender, and answers to it; boundaries are kept both ways."""

    def __init__(self, port: "_Port", sender: _Address) -> None:
        """Begin with nothing received; only a listener has a reason to."""
        self.scope = anyio.CancelScope()
        """Cancelled when the sender has been quiet for too long."""
        self.sender = sender
        self._port = port
        self._queue: deque[bytes] = deque()
        self._arrival = anyio.Event()
        self._closed = False

    async def receive(self) -> bytes:
        """Return the sender's next datagram, waiting for it; raises ClosedResourceError."""
        await checkpoint()
        while not self._closed:
            if self._queue:
                return self._queue.popleft()
            self._arrival = anyio.Event()
            await self._arrival.wait()
        raise anyio.ClosedResourceError

    async def receive_many(self) -> Sequence[bytes]:
        """Return the next datagram and some that wait behind it; raises as `receive` does."""
        items = [await self.receive()]
        while self._queue and len(items) < _BATCH:
            items.append(self._queue.popleft())
        return items

    async def send(self, item: bytes) -> None:
        """Send `item` to the sender as one datagram.

        Raises OSError (EMSGSIZE) when it is larger than UDP carries, BrokenResourceError when it
        cannot be sent, ClosedResourceError when this stream is closed.
        """
        if self._closed:
            raise anyio.ClosedResourceError
        await self._port.send(item, self.sender)

    async def send_eof(self) -> None:
        """Do nothing: datagrams have no end of file to send."""

    async def aclose(self) -> None:
        """Close: the sender's next datagram begins another stream."""
        self._closed = True
        self._arrival.set()
        self._port.forget(self)

    @property
    def extra_attributes(self) -> Mapping[object, Callable[[], object]]:
        """The sender's address."""
        return {cast("object", SocketAttribute.remote_address): lambda: self.sender}

    def put(self, datagram: bytes) -> None:
        """Queue `datagram` for `receive` unless too many wait already."""
        if len(self._queue) < QUEUED_DATAGRAMS:
            self._queue.append(datagram)
            self._arrival.set()


DatagramHandler = Callable[[SenderStream], Awaitable[object]]
"""Serves one sender; the listener closes the stream when it returns, and cancels it in the end."""


@dataclass
class TemporaryUdpListener(AsyncContextManagerMixin):
    """Yields the address, as `socket.connect` takes it, of a UDP port that feeds `handler`.

    The handler runs once per sender and is cancelled after `idle` seconds without a datagram
    either way, or when one sender more than `max_senders` comes and this one is the quietest. What
    it raises is logged and ends its stream only. Entering raises a subclass of OSError that names
    the address when it cannot be had.
    """

    handler: DatagramHandler
    local_host: str | None = "127.0.0.1"
    local_port: int = 0
    family: int = socket.AF_UNSPEC
    idle: float = IDLE_SECONDS
    max_senders: int = MAX_SENDERS

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[_Address]:
        """Receive, yield the address, then stop receiving and cancel the handlers."""
        with ExitStack() as stack:
            bound = await bind_ports(
                self.local_host, self.local_port, family=self.family, kind=socket.SOCK_DGRAM
            )
            for sock in bound:
                stack.enter_context(sock)
            async with background_tasks() as tasks:
                for sock in bound:
                    table = IdleTable[_Address, SenderStream](self.idle, self.max_senders)
                    port = _Port(sock, self.handler, tasks, table)
                    tasks.start_soon(port.receive)
                    tasks.start_soon(port.expire)
                yield bound[0].getsockname()


class _Port:
    """One socket and the streams of those who send to it."""

    def __init__(
        self,
        sock: socket.socket,
        handler: DatagramHandler,
        tasks: TaskGroup,
        senders: IdleTable[_Address, SenderStream],
    ) -> None:
        self._sock = sock
        self._handler = handler
        self._tasks = tasks
        self._senders = senders
        self._newcomer = anyio.Event()
        self._sending = anyio.Lock(fast_acquire=True)

    async def receive(self) -> None:
        while True:
            await anyio.wait_readable(self._sock)
            now = anyio.current_time()
            for _ in range(_BATCH):
                try:
                    datagram, sender = self._sock.recvfrom(MAX_DATAGRAM)
                except BlockingIOError:
                    break
                stream = self._senders.touch(sender, now) or self._welcome(sender, now)
                stream.put(datagram)

    async def expire(self) -> None:
        while True:
            deadline = self._senders.deadline()
            if deadline is None:
                self._newcomer = anyio.Event()
                await self._newcomer.wait()
            else:
                await anyio.sleep_until(deadline)
                for stream in self._senders.expire(anyio.current_time()):
                    stream.scope.cancel()

    async def send(self, datagram: bytes, sender: _Address) -> None:
        self._senders.touch(sender, anyio.current_time())
        async with self._sending:
            while True:
                try:
                    self._sock.sendto(datagram, sender)
                except BlockingIOError:
                    await anyio.wait_writable(self._sock)
                except OSError as error:
                    if error.errno == errno.EMSGSIZE:
                        raise
                    raise anyio.BrokenResourceError from error
                else:
                    return

    def forget(self, stream: SenderStream) -> None:
        self._senders.discard(stream.sender, stream)

    def _welcome(self, sender: _Address, now: float) -> SenderStream:
        stream = SenderStream(self, sender)
        evicted = self._senders.add(sender, stream, now)
        if evicted is not None:
            evicted.scope.cancel()
        self._newcomer.set()
        self._tasks.start_soon(self._serve, stream)
        return stream

    async def _serve(self, stream: SenderStream) -> None:
        with stream.scope:
            try:
                await self._handler(stream)
            except JumpstarterException as error:
                _logger.warning("stream of a sender ended: %s", error)
            except _EXPECTED as error:
                _logger.info("stream of a sender ended: %s: %s", type(error).__name__, error)
            except Exception:
                _logger.exception("stream of a sender ended, because its handler failed")
            finally:
                await stream.aclose()
