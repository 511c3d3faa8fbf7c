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
    Awaitable,
    Callable,
    Generator,
    Mapping,
)
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from functools import partial
from types import MappingProxyType

import anyio
from anyio.abc import TaskGroup
from opendal import AsyncOperator

from jumpstarter_driver_tftp.conversation import Conversation
from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.files import OpenFile, files_of
from jumpstarter_driver_tftp.journal import Journal, shown, summary
from jumpstarter_driver_tftp.limits import FullError, Limits, Rates
from jumpstarter_driver_tftp.lines import UNKNOWN_TID, Port, port_of
from jumpstarter_driver_tftp.names import path_below_root
from jumpstarter_driver_tftp.options import DEFAULT_BLOCK_BYTES, Offer, Terms, announced_size
from jumpstarter_driver_tftp.packet import Error, Opcode, TftpErrorCode, is_error
from jumpstarter_driver_tftp.parts import Part, part_of
from jumpstarter_driver_tftp.reception import Reception
from jumpstarter_driver_tftp.reports import Report
from jumpstarter_driver_tftp.requests import (
    is_request,
    judge,
    open_receiver,
    open_sender,
    requested,
)
from jumpstarter_driver_tftp.sockets import Arrival, Listener, listen, resolve
from jumpstarter_driver_tftp.transfer import Finish, Outcome
from jumpstarter_driver_tftp.transfers import Running, Transfer, Transfers
from jumpstarter_driver_tftp.views import Views

__all__ = ["Limits", "Opcode", "TftpErrorCode", "TftpServer"]

SHOWN_BYTES = 80
"""How much of a datagram that is refused stands in the log."""

LAST_WORDS_SECONDS = 1.0
"""How long `stop` waits for transfers that were told to end."""

SEARCHES_PER_SECOND = 1.0
"""How often a name that is missing is compared with those that are there, in the long run."""

SEARCHES_AT_ONCE = 10
"""How often in one go: a boot loader asks for about ten names before it finds one."""

_BUSY = Error(TftpErrorCode.NOT_DEFINED, "Server is busy")
_TOO_OFTEN = Error(TftpErrorCode.NOT_DEFINED, "Too many requests")
_STOPPING = Error(TftpErrorCode.NOT_DEFINED, "Server is stopping")
_FAILED = Error(TftpErrorCode.NOT_DEFINED, "Server failed")
_STOPPED = Finish(Outcome.FAILED, _STOPPING.code, _STOPPING.text)
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
        self._views = Views(views)
        self._files = files_of(operator)
        self._journal = Journal()
        self._transfers = Transfers(limits)
        self._rates = Rates(limits.requests_per_second, limits.burst)
        self._remarks = Rates(1.0, 1)
        self._searches = Rates(SEARCHES_PER_SECOND, SEARCHES_AT_ONCE)
        self._stopping = False

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
        self._stopping = True
        await self._transfers.drain(grace)
        self._transfers.abort(_STOPPING)
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
        with listen(await resolve(self.host, self.port)) as listener:
            async with anyio.create_task_group() as tasks:
                port = port_of(listener, shared=self.single_port, blocks_come=self.writable)
                loop.add_reader(listener.socket, self._on_readable, port, tasks)
                self._stopping = False
                self.transport = listener
                self.ready_event.set()
                try:
                    yield listener.address
                finally:
                    if self.transport is listener:
                        self.transport = None
                    loop.remove_reader(listener.socket)
                    loop.remove_writer(listener.socket)
                    tasks.cancel_scope.cancel()
                    self._transfers.abort(_STOPPING)

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
        if self._stopping or self.shutdown_event.is_set():
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
                port.listener.reply(arrival, _BUSY.encode())
                self._journal.refuse(entry, _BUSY, now)
                self._remark(arrival, "too many transfers, refused", now)
            else:
                self._begin(port, tasks, running)

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

    def _begin(self, port: Port, tasks: TaskGroup, running: Running) -> None:
        """Serve a request, at once if nothing has to be waited for."""
        part = part_of(self._files, self._views.find(running.arrival.peer[0]))
        file = None
        if running.request.opcode is Opcode.RRQ:
            with suppress(FileRefused):
                file = part.at_hand(path_below_root(running.request.name))
        if file is None:
            tasks.start_soon(self._serve, port, running, part)
            return
        with ExitStack() as stack:
            try:
                conversation = self._converse(port, running, stack.enter_context(file), stack)
            except OSError as error:
                self._fail(port, running, error)
                return
            ended = partial(self._ended, running, stack.pop_all())
            conversation.begin(ended, partial(self._wait_for, tasks, running))

    def _converse(
        self, port: Port, running: Running, file: OpenFile, stack: ExitStack
    ) -> Conversation:
        """Prepare to send a file; `stack` holds all that is needed for it."""
        offer = self._offer(file.size)
        machine, running.entry.granted = open_sender(running.request, offer, self.retries)
        running.entry.size = file.size if running.request.mode == "octet" else None
        conversation = Conversation(stack.enter_context(port.line(running.arrival)), machine, file)
        stack.enter_context(conversation.attached())
        stack.enter_context(self._registered(running, conversation))
        return conversation

    def _ended(self, running: Running, stack: ExitStack) -> None:
        stack.close()
        self._transfers.leave(running)
        transfer = running.transfer
        finish = transfer.finish if isinstance(transfer, Conversation) else None
        self._note(running, running.finish or finish or _STOPPED)

    def _wait_for(
        self, tasks: TaskGroup, running: Running, function: Callable[[], Awaitable[None]]
    ) -> None:
        """Run what a transfer has to wait for; a fault ends the transfer, not the server."""

        async def guarded() -> None:
            try:
                await function()
            except Exception:
                client, name = shown(running.arrival.peer), running.request.name
                self.logger.exception("%s: %r", client, name)

        tasks.start_soon(guarded)

    def _fail(self, port: Port, running: Running, error: OSError) -> None:
        self.logger.error("%s: %r: %s", shown(running.arrival.peer), running.request.name, error)
        port.listener.reply(running.arrival, _BUSY.encode())
        self._transfers.leave(running)
        self._journal.refuse(running.entry, _BUSY, asyncio.get_running_loop().time())

    async def _serve(self, port: Port, running: Running, part: Part) -> None:
        request = running.request
        path: tuple[str, ...] = ()
        try:
            path = path_below_root(request.name)
            if request.opcode is Opcode.RRQ:
                await self._send(port, running, part.open(path))
            else:
                await self._receive(port, running, part, path)
        except FileRefused as refusal:
            await self._refuse(port, running, Error(refusal.code, refusal.text), part, path)
        except OSError as error:
            self.logger.error("%s: %r: %s", shown(running.arrival.peer), request.name, error)  # noqa: TRY400 - no fault of ours
            await self._refuse(port, running, _BUSY, part, path)
        except Exception:
            self.logger.exception("%s: %r", shown(running.arrival.peer), request.name)
            await self._refuse(port, running, _FAILED, part, path)
        finally:
            self._transfers.leave(running)
            self._note(running, running.finish or _STOPPED)

    async def _send(
        self, port: Port, running: Running, opened: AbstractAsyncContextManager[OpenFile]
    ) -> None:
        async with opened as file:
            with ExitStack() as stack:
                conversation = self._converse(port, running, file, stack)
                if running.finish is None:
                    await conversation.run()
                    running.finish = conversation.finish

    async def _receive(
        self, port: Port, running: Running, part: Part, path: tuple[str, ...]
    ) -> None:
        bound = self.max_upload
        machine, granted = open_receiver(running.request, self._offer(None), self.retries, bound)
        running.entry.granted, running.entry.size = granted, announced_size(running.request.options)
        async with part.create(path, overwrite=self.overwrite, max_bytes=bound) as file:
            room = machine.terms.windowsize * machine.terms.blksize
            with port.line(running.arrival, room) as line:
                reception = Reception(line, machine, file)
                with reception.attached(), self._registered(running, reception):
                    if running.finish is None:
                        await self._take(running, reception)

    async def _take(self, running: Running, reception: Reception) -> None:
        finish = await reception.run()
        self._note(running, finish)
        if reception.stored and not self._stopping:
            self._transfers.offer(running)
            await reception.linger()
        running.finish = finish

    def _offer(self, size: int | None) -> Offer:
        terms = Terms(blksize=self.block_size, timeout=self.timeout)
        return Offer(terms, self.max_windowsize, size)

    @contextmanager
    def _registered(self, running: Running, transfer: Transfer) -> Generator[None]:
        running.transfer, running.entry.machine = transfer, transfer.machine
        self._transfers.offer(running)
        self.register_transfer(transfer)
        try:
            yield
        finally:
            self.unregister_transfer(transfer)

    async def _refuse(
        self, port: Port, running: Running, error: Error, part: Part, path: tuple[str, ...]
    ) -> None:
        # A client that has asked for something else since would take this for the answer to that.
        if running.finish is not None:
            return
        if running.transfer is None:
            port.listener.reply(running.arrival, error.encode())
        self._transfers.leave(running)
        now = asyncio.get_running_loop().time()
        near: tuple[str, ...] = ()
        read = running.request.opcode is Opcode.RRQ
        missing = read and error.code == TftpErrorCode.FILE_NOT_FOUND
        try:
            if missing and path and self._searches.allow("", now):
                near = await part.nearest(path)
        finally:
            self._journal.refuse(running.entry, error, now, near)
            self.logger.warning("%s", summary(running.entry.report(now)))

    def _note(self, running: Running, finish: Finish) -> None:
        """Note how a transfer ended, unless that has been noted."""
        now = asyncio.get_running_loop().time()
        level = logging.INFO if finish.outcome is Outcome.COMPLETE else logging.WARNING
        if self._journal.finish(running.entry, finish, now) and self.logger.isEnabledFor(level):
            self.logger.log(level, "%s", summary(running.entry.report(now)))
