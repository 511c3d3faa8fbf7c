"""The TFTP server: takes requests, and gives each transfer a task, a port and a machine.

Ready means ready: `address` and `ready_event` are set once the port is bound, and a port that
cannot be bound is an error for whoever starts the server.
"""

import asyncio
import logging
import os
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Mapping,
)
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
)
from functools import partial
from types import MappingProxyType

import anyio
from anyio.abc import TaskGroup
from opendal import AsyncOperator

from jumpstarter_driver_tftp.files import files_of
from jumpstarter_driver_tftp.journal import Journal, shown
from jumpstarter_driver_tftp.limits import FullError, Limits, Rates
from jumpstarter_driver_tftp.lines import UNKNOWN_TID, Port, port_of
from jumpstarter_driver_tftp.options import DEFAULT_BLOCK_BYTES
from jumpstarter_driver_tftp.packet import Error, Opcode, TftpErrorCode, is_error
from jumpstarter_driver_tftp.readiness import watching
from jumpstarter_driver_tftp.reports import Report
from jumpstarter_driver_tftp.requests import (
    is_request,
    judge,
    requested,
)
from jumpstarter_driver_tftp.serving import BUSY, STOPPING, Serving
from jumpstarter_driver_tftp.sockets import Arrival, Listener, listen, resolve
from jumpstarter_driver_tftp.transfers import Running, Transfer, Transfers

__all__ = ["Limits", "Opcode", "TftpErrorCode", "TftpServer"]

SHOWN_BYTES = 80
"""How much of a datagram that is refused stands in the log."""

LAST_WORDS_SECONDS = 1.0
"""How long `stop` waits for transfers that were told to end."""

_TOO_OFTEN = Error(TftpErrorCode.NOT_DEFINED, "Too many requests")
_DEFAULT_LIMITS = Limits()
_NO_VIEWS: Mapping[str, str] = MappingProxyType({})


class TftpServer:
    """Serves files: RFC 1350, 2347, 2348, 2349 and 7440.

    Attributes:
        host: name or address to listen on; `::` takes IPv4 as well.
        port: port to listen on; 0 takes any free one.
        operator: where the files are.
        block_size: bytes per block for a client that does not negotiate; RFC 1350 knows only 512.
        timeout: seconds before a packet is sent again, for a client that does not negotiate.
        retries: how often a packet is sent before the client counts as silent.
        writable: whether clients may write files.
        overwrite: whether they may replace those that exist.
        max_upload: the largest file that they may write, in bytes.
        max_windowsize: the largest window that is granted, in blocks.
        single_port: whether transfers use the port that is listened on and no others, as NAT and
            containers need it.
        limits: how much is done at once.
        active_transfers: the transfers that run now.
        ready_event: set once the port is bound.
        shutdown_event: ends the server when set.
        transport: the socket that requests come to, while there is one.
        logger: gets a line per request that was served or refused.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the signature of release 0.9.0, used by others' tests
        self,
        host: str,
        port: int,
        operator: AsyncOperator | str | os.PathLike[str],
        block_size: int = DEFAULT_BLOCK_BYTES,
        timeout: float = 5.0,
        retries: int = 3,
        logger: logging.Logger | None = None,
        *,
        writable: bool = False,
        overwrite: bool = False,
        max_upload: int = 1 << 30,
        max_windowsize: int = 64,
        single_port: bool = False,
        views: Mapping[str, str] = _NO_VIEWS,
        limits: Limits = _DEFAULT_LIMITS,
    ) -> None:
        """Prepare a server; a directory may stand in for an operator. Needs no event loop.

        `views` gives clients a sub-directory for their root, by address or network.

        Raises:
            ValueError: a view is of no address or network, or is no sub-directory.
        """
        self.host = host
        self.port = port
        self.operator = operator
        self.block_size = block_size
        self.timeout = timeout
        self.retries = retries
        self.writable = writable
        self.overwrite = overwrite
        self.max_upload = max_upload
        self.max_windowsize = max_windowsize
        self.single_port = single_port
        self.limits = limits
        self.active_transfers: set[Transfer] = set()
        self.ready_event = asyncio.Event()
        self.shutdown_event = asyncio.Event()
        self.transport: Listener | None = None
        self.logger = (logger or logging.getLogger(__name__)).getChild(type(self).__name__)
        self._journal = Journal()
        self._transfers = Transfers(limits)
        self._serving = Serving(self, files_of(operator), views, self._journal, self._transfers)
        self._rates = Rates(limits.requests_per_second, limits.burst)
        self._remarks = Rates(1.0, 1)

    @property
    def address(self) -> tuple[str, int] | None:
        """The address and port that requests come to, or None while there is none."""
        return None if self.transport is None else self.transport.address

    async def start(self) -> None:
        """Serve until `shutdown`.

        Raises:
            OSError: the port cannot be bound.
        """
        async with self.running():
            await self.shutdown_event.wait()

    async def shutdown(self) -> None:
        """Make `start` return; clients in the middle of a transfer are told."""
        self.shutdown_event.set()

    async def stop(self, grace: float) -> None:
        """Take no new requests, let transfers end for at most `grace` seconds, and tell the rest.

        Makes `start` return. To be called in the loop that the server runs in.
        """
        self._serving.stopping = True
        await self._transfers.drain(grace)
        self._transfers.abort(STOPPING)
        await self._transfers.drain(LAST_WORDS_SECONDS)
        self.shutdown_event.set()

    def reports(self) -> list[Report]:
        """Return the requests that run, then the newest that ended; any thread may ask."""
        return self._journal.reports(time.monotonic())

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[Report]]:
        """Give every change from now on: a request has begun, has ended, or, each second, goes on.

        A slow watcher loses reports of requests that go on, not of those that have ended. To be
        used in the loop that the server runs in.
        """
        return self._journal.watch()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[tuple[str, int]]:
        """Serve as long as the context lasts; gives the address that is listened on.

        Raises:
            OSError: the port cannot be bound.
        """
        loop = asyncio.get_running_loop()
        with (
            listen(await resolve(self.host, self.port)) as listener,
            watching() as readiness,
            self._serving.logged(),
        ):
            async with anyio.create_task_group() as tasks:
                port = port_of(
                    listener, readiness, shared=self.single_port, blocks_come=self.writable
                )
                readiness.add(listener.socket.fileno(), partial(self._on_readable, port, tasks))
                self._serving.stopping = False
                self.transport = listener
                self.ready_event.set()
                try:
                    yield listener.address
                finally:
                    if self.transport is listener:
                        self.transport = None
                    readiness.remove(listener.socket.fileno())
                    loop.remove_writer(listener.socket)
                    tasks.cancel_scope.cancel()
                    self._transfers.abort(STOPPING)

    def register_transfer(self, transfer: Transfer) -> None:
        """Count a transfer among those that run."""
        self.active_transfers.add(transfer)

    def unregister_transfer(self, transfer: Transfer) -> None:
        """Count a transfer among those that run no longer."""
        self.active_transfers.discard(transfer)

    def _on_readable(self, port: Port, tasks: TaskGroup) -> None:
        arrival = port.listener.receive(port.largest)
        if arrival is None:
            return
        request = is_request(arrival.datagram)
        if not request and port.shared is not None and port.shared.hand_over(arrival):
            return
        if self._serving.stopping or self.shutdown_event.is_set():
            return
        now = asyncio.get_running_loop().time()
        if not self._rates.allow(arrival.peer[0], now):
            self._ignore(arrival, now)
        elif request or port.shared is None:
            self._judge(port, tasks, arrival, now)
        elif not is_error(arrival.datagram) and not self._transfers.has(arrival.peer):
            port.listener.reply(arrival, UNKNOWN_TID)

    def _judge(self, port: Port, tasks: TaskGroup, arrival: Arrival, now: float) -> None:
        judged = judge(arrival.datagram, writable=self.writable)
        if isinstance(judged, Error):
            port.listener.reply(arrival, judged.encode())
            request = requested(arrival.datagram)
            entry = self._journal.begin(arrival, request, time.time(), now)
            self._journal.refuse(entry, judged, now)
            reason = shown(arrival.peer), arrival.datagram[:SHOWN_BYTES], judged.text
            self.logger.warning("%s: %r refused: %s", *reason)
        elif judged is not None and self._transfers.is_new(arrival, now):
            entry = self._journal.begin(arrival, judged, time.time(), now)
            running = Running(arrival, judged, now, entry)
            try:
                self._transfers.enter(running)
            except FullError:
                port.listener.reply(arrival, BUSY.encode())
                self._journal.refuse(entry, BUSY, now)
                self._remark(arrival, "too many transfers, refused", now)
            else:
                self._serving.begin(port, tasks, running)

    def _ignore(self, arrival: Arrival, now: float) -> None:
        """Note that a client asks too often, at most once a second: to note all is work as well."""
        if self._remarks.allow(arrival.peer[0], now):
            request = requested(arrival.datagram)
            entry = self._journal.begin(arrival, request, time.time(), now)
            self._journal.refuse(entry, _TOO_OFTEN, now)
            self.logger.warning("%s: too many requests, not answered", shown(arrival.peer))

    def _remark(self, arrival: Arrival, text: str, now: float) -> None:
        """Log what may happen thousands of times a second, at most once a second per client."""
        if self._remarks.allow(arrival.peer[0], now):
            self.logger.warning("%s: %s", shown(arrival.peer), text)
