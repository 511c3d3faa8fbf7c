"""Keeps a server in a thread with its own event loop, and brings what it tells to other loops.

The server outlives the call that started it, so it has a thread. Whoever follows it is in another
loop, and may be slow or go away: of each follower at most one report is under way, and the server's
own buffer, which has a bound, holds the rest.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

import anyio
from anyio.from_thread import BlockingPortal
from anyio.streams.memory import MemoryObjectSendStream
from jumpstarter.rpc.portal import open_portal

from jumpstarter_driver_tftp.reports import Report, State
from jumpstarter_driver_tftp.server import TftpServer

LAST_SECONDS = 1.0
"""How long followers may take to hear how the last transfers ended, when the server stops."""

REMEMBERED = 1000
"""Of how many ended requests a follower's are known to have been told; more than a server knows."""


@dataclass(eq=False)
class Host:
    """A server that runs in a thread of its own.

    Attributes:
        server: the server.
        uploads: the files that devices have written, by the number of their request.
    """

    server: TftpServer
    uploads: dict[int, Report] = field(default_factory=dict[int, Report])
    _portal: BlockingPortal = field(kw_only=True)
    _ended: anyio.Event = field(kw_only=True)

    def stop(self, grace: float) -> None:
        """Stop the server as `TftpServer.stop` does. Blocks the thread that calls."""
        self._portal.call(self.server.stop, grace)

    async def follow(self) -> AsyncGenerator[Report]:
        """Yield the known requests, the oldest first, then every change until the server ends.

        May be used in any event loop. Closing it early ends all that it began.
        """
        loop = asyncio.get_running_loop()
        send, receive = anyio.create_memory_object_stream[Report](0)
        with send, receive:
            try:
                feeding = self._portal.start_task_soon(self._feed, send, loop)
            except RuntimeError:
                return  # the server has ended just now
            try:
                async for report in receive:
                    yield report
            finally:
                feeding.cancel()

    async def _feed(
        self, send: MemoryObjectSendStream[Report], loop: asyncio.AbstractEventLoop
    ) -> None:
        """Bring reports to `loop`, from the server's own."""
        told = _Told(send, loop)
        try:
            async with self.server.watch() as reports, anyio.create_task_group() as tasks:
                tasks.start_soon(told.pass_on, sorted_reports(self.server), reports)
                await self._ended.wait()
                tasks.cancel_scope.cancel()
            with anyio.move_on_after(LAST_SECONDS):
                await told.complete(sorted_reports(self.server))
        finally:
            with suppress(RuntimeError):  # that loop may be closed already
                loop.call_soon_threadsafe(send.close)

    def end(self) -> None:
        """Let followers tell the rest, and end."""
        self._ended.set()

    async def collect(self) -> None:
        """Keep what devices write, as long as the server runs."""
        async with self.server.watch() as reports:
            async for report in reports:
                self.note(report)

    def note(self, report: Report) -> None:
        """Keep the report when it is of a file that was written."""
        if report.state is State.COMPLETE and report.action == "write":
            self.uploads[report.number] = report


class _Told:
    """What one follower has been told."""

    def __init__(
        self, send: MemoryObjectSendStream[Report], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._send = send
        self._loop = loop
        self._ended: dict[int, None] = {}

    async def pass_on(self, known: list[Report], changes: AsyncIterator[Report]) -> None:
        for report in known:
            await self._tell(report)
        async for report in changes:
            await self._tell(report)

    async def complete(self, reports: list[Report]) -> None:
        """Tell how those requests ended of which that has not been told."""
        for report in reports:
            await self._tell(report)

    async def _tell(self, report: Report) -> None:
        if report.number in self._ended:
            return
        sending = asyncio.run_coroutine_threadsafe(self._send.send(report), self._loop)
        await asyncio.wrap_future(sending)
        if report.state is not State.RUNNING:
            self._ended[report.number] = None
            if len(self._ended) > REMEMBERED:
                del self._ended[next(iter(self._ended))]


def sorted_reports(server: TftpServer) -> list[Report]:
    """Return what a server knows of its requests, the oldest first."""
    return sorted(server.reports(), key=lambda report: report.number)


@contextmanager
def hosted(server: TftpServer) -> Generator[Host]:
    """Run a server in a thread as long as the context lasts; it listens when that begins.

    Raises:
        OSError: the port cannot be bound.
    """
    with (
        open_portal() as portal,
        portal.wrap_async_context_manager(_running(server, portal)) as host,
    ):
        yield host


@asynccontextmanager
async def _running(server: TftpServer, portal: BlockingPortal) -> AsyncGenerator[Host]:
    host = Host(server, _portal=portal, _ended=anyio.Event())
    try:
        async with server.running(), anyio.create_task_group() as tasks:
            if server.writable:
                tasks.start_soon(host.collect)
            try:
                yield host
            finally:
                tasks.cancel_scope.cancel()
    finally:
        for report in server.reports():
            host.note(report)
        host.end()
