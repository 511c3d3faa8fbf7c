"""A non-blocking socket that is read and written with the kernel's own calls, and waited for.

The event loop is asked directly: anyio's way to wait for a socket costs nearly twice as much, which
short connections feel.
"""

import asyncio
import errno
import socket
import threading
from collections.abc import Callable
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

CHUNK_SIZE: Final = 1 << 20
"""The most bytes that one `receive` of a byte stream returns when it is not told otherwise."""

BULK_READ: Final = 1 << 15
"""A read that brings this much is followed by another at once: large chunks cost less per byte."""

MAX_DATAGRAM: Final = 65_535
"""No datagram of any protocol here is larger than this many bytes."""

MAX_ITEMS: Final = 64
MAX_DRAINED: Final = 1 << 19
"""Items and bytes after which datagrams are handed over although more are there."""

TURN: Final = 8
"""Operations in a row that a socket may finish without waiting before others get the loop."""

_local = threading.local()


def _thread_buffer() -> memoryview:
    """Return the buffer into which this thread reads: a new one per read would cost ten times it.

    What is in it is copied out before the thread does anything else.
    """
    buffer: memoryview | None = getattr(_local, "buffer", None)
    if buffer is None:
        buffer = _local.buffer = memoryview(bytearray(CHUNK_SIZE))
    return buffer


class Duplex:
    """A non-blocking socket with at most one reader and one writer at a time."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over `sock`."""
        sock.settimeout(0)
        self.sock = sock
        self._reading = anyio.ResourceGuard("reading from")
        self._writing = anyio.ResourceGuard("writing to")
        self._streak = 0
        self._delayed: OSError | None = None
        self._waiting: dict[asyncio.Future[None], Callable[[int], object]] = {}
        """What a task waits for, with what ends the watch for it."""

    def check_open(self) -> None:
        """Raise ClosedResourceError when the socket is closed."""
        if self.sock.fileno() == -1:
            raise anyio.ClosedResourceError

    async def receive(self, max_bytes: int, read: Callable[[int], bytes]) -> bytes:
        """Return what `read(max_bytes)` does, as soon as it need not wait.

        Raises BrokenResourceError for an error of the connection, ClosedResourceError when this end
        is closed, BusyResourceError while another task receives.
        """
        with self._reading:
            await self._take_turn()
            if self._delayed is not None:
                error, self._delayed = self._delayed, None
                self._fail(error)
            while True:
                try:
                    return read(max_bytes)
                except BlockingIOError:
                    self._streak = 0
                    loop = asyncio.get_running_loop()
                    await self._wait(loop.create_future(), loop.add_reader, loop.remove_reader)
                except OSError as error:
                    self._fail(error)

    def read_chunk(self, max_bytes: int) -> bytes:
        """Read what is there, and in bulk what comes meanwhile, without waiting."""
        view = _thread_buffer()[:max_bytes]
        size = last = self.sock.recv_into(view)
        while last >= BULK_READ and size < len(view):
            try:
                last = self.sock.recv_into(view[size:])
            except BlockingIOError:
                break
            except OSError as error:
                self._delayed = error
                break
            size += last
        return bytes(view[:size])

    def drain(self, items: list[bytes]) -> None:
        """Add the datagrams that need no waiting; an error among them is the next receive's."""
        size = len(items[0])
        while len(items) < MAX_ITEMS and size < MAX_DRAINED:
            try:
                item = self.sock.recv(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                self._delayed = error
                return
            items.append(item)
            size += len(item)

    async def send_all(self, data: bytes) -> None:
        """Hand all of `data` to the kernel, in as many pieces as it takes.

        Raises as `receive` does.
        """
        with self._writing:
            sent = await self._send(data)
            if sent < len(data):
                view = memoryview(data)
                while sent < len(data):
                    sent += await self._send(view[sent:])

    async def send_once(self, data: bytes) -> None:
        """Hand `data` to the kernel as one datagram.

        Raises as `receive` does, and OSError (EMSGSIZE) for one that the protocol cannot carry.
        """
        with self._writing:
            await self._send(data)

    def close(self) -> None:
        """Close; a task that waits gets ClosedResourceError. Idempotent."""
        number = self.sock.fileno()
        if number == -1:
            return
        # The watch must end first: the number may be another socket's as soon as this is closed.
        while self._waiting:
            ready, end_watch = self._waiting.popitem()
            end_watch(number)
            _wake(ready)
        self.sock.close()

    async def _send(self, data: bytes | memoryview) -> int:
        await self._take_turn()
        while True:
            try:
                return self.sock.send(data)
            except BlockingIOError:
                self._streak = 0
                loop = asyncio.get_running_loop()
                await self._wait(loop.create_future(), loop.add_writer, loop.remove_writer)
            except OSError as error:
                self._fail(error)

    async def _wait(
        self,
        ready: asyncio.Future[None],
        watch: Callable[..., object],
        end_watch: Callable[[int], object],
    ) -> None:
        """Return when the socket is ready, or closed; `ready` tells."""
        number = self.sock.fileno()
        watch(number, _wake, ready)
        self._waiting[ready] = end_watch
        try:
            await ready
        finally:
            if self._waiting.pop(ready, None) is not None:
                end_watch(number)

    async def _take_turn(self) -> None:
        self._streak += 1
        if self._streak > TURN:
            self._streak = 0
            await checkpoint()

    def _fail(self, error: OSError) -> None:
        self.check_open()
        if error.errno == errno.EMSGSIZE:
            raise error
        raise anyio.BrokenResourceError from error


def _wake(ready: asyncio.Future[None]) -> None:
    # The loop says so again and again until the task has run.
    if not ready.done():
        ready.set_result(None)
