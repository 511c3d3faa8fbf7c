"""Serves the requests of one server: opens files, has them sent or received, and notes the end.

A file that the system has at hand is sent at once, from callbacks of the loop; whatever has to be
waited for gets a task.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import lru_cache, partial
from typing import Protocol

from anyio.abc import TaskGroup

from jumpstarter_driver_tftp.conversation import Conversation
from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.files import Files, LocalFile, OpenFile
from jumpstarter_driver_tftp.journal import Journal, shown
from jumpstarter_driver_tftp.limits import Rates
from jumpstarter_driver_tftp.lines import Port
from jumpstarter_driver_tftp.log_lines import LogLines
from jumpstarter_driver_tftp.names import path_below_root
from jumpstarter_driver_tftp.options import Offer, Terms, announced_size
from jumpstarter_driver_tftp.packet import Error, Opcode, Request, TftpErrorCode
from jumpstarter_driver_tftp.parts import Part, part_of
from jumpstarter_driver_tftp.reception import Reception
from jumpstarter_driver_tftp.requests import open_receiver, open_sender
from jumpstarter_driver_tftp.transfer import Finish, Outcome
from jumpstarter_driver_tftp.transfers import Running, Transfer, Transfers
from jumpstarter_driver_tftp.views import Views

SEARCHES_PER_SECOND = 1.0
"""How often a name that is missing is compared with those that are there, in the long run."""

SEARCHES_AT_ONCE = 10
"""How often in one go: a boot loader asks for about ten names before it finds one."""

BUSY = Error(TftpErrorCode.NOT_DEFINED, "Server is busy")
STOPPING = Error(TftpErrorCode.NOT_DEFINED, "Server is stopping")
_FAILED = Error(TftpErrorCode.NOT_DEFINED, "Server failed")
_STOPPED = Finish(Outcome.FAILED, STOPPING.code, STOPPING.text)


class Settings(Protocol):
    """What holds for each new transfer, as `TftpServer` documents it."""

    block_size: int
    timeout: float
    retries: int
    overwrite: bool
    max_upload: int
    max_windowsize: int
    logger: logging.Logger

    def register_transfer(self, transfer: Transfer) -> None:
        """Count a transfer among those that run."""
        ...

    def unregister_transfer(self, transfer: Transfer) -> None:
        """Count a transfer among those that run no longer."""
        ...


class Serving:
    """Carries out requests.

    Attributes:
        stopping: whether uploads that are complete are no longer waited for.
    """

    def __init__(
        self,
        settings: Settings,
        files: Files,
        views: Mapping[str, str],
        journal: Journal,
        transfers: Transfers,
    ) -> None:
        """Serve `files`, of which `views` gives some clients a part.

        Raises:
            ValueError: a view is of no address or network, or is no sub-directory.
        """
        self.stopping = False
        self._settings = settings
        self._files = files
        self._views = Views(views)
        self._journal = journal
        self._transfers = transfers
        self._lines = LogLines(settings.logger)
        self._searches = Rates(SEARCHES_PER_SECOND, SEARCHES_AT_ONCE)

    def begin(self, port: Port, tasks: TaskGroup, running: Running) -> None:
        """Serve a request, at once if nothing has to be waited for."""
        part = part_of(self._files, self._views.find(running.arrival.peer[0]))
        file = _at_hand(part, running.request)
        if file is None:
            tasks.start_soon(self._serve, port, running, part)
            return
        try:
            conversation = self._converse(port, running, file)
        except BaseException as error:
            file.close()
            if not isinstance(error, OSError):
                raise
            self._fail(port, running, error)
            return
        ended = partial(self._ended, running, conversation, file)
        conversation.begin(ended, partial(self._wait_for, tasks, running))

    def _converse(self, port: Port, running: Running, file: OpenFile) -> Conversation:
        """Prepare to send a file."""
        offer = self._offer(file.size)
        machine, running.entry.granted = open_sender(running.request, offer, self._settings.retries)
        running.entry.size = file.size if running.request.mode == "octet" else None
        conversation = Conversation(port.line(running.arrival), machine, file).attached()
        self._register(running, conversation)
        return conversation

    def _ended(self, running: Running, conversation: Conversation, file: LocalFile) -> None:
        self._settings.unregister_transfer(conversation)
        conversation.close()
        file.close()
        self._transfers.leave(running)
        self._note(running, running.finish or conversation.finish or _STOPPED)

    def _wait_for(
        self, tasks: TaskGroup, running: Running, function: Callable[[], Awaitable[None]]
    ) -> None:
        """Run what a transfer has to wait for; a fault ends the transfer, not the server."""

        async def guarded() -> None:
            try:
                await function()
            except Exception:
                client, name = shown(running.arrival.peer), running.request.name
                self._settings.logger.exception("%s: %r", client, name)

        tasks.start_soon(guarded)

    def _fail(self, port: Port, running: Running, error: OSError) -> None:
        self._complain(running, error)
        port.listener.reply(running.arrival, BUSY.encode())
        self._transfers.leave(running)
        self._journal.refuse(running.entry, BUSY, asyncio.get_running_loop().time())

    def _complain(self, running: Running, error: OSError) -> None:
        client, name = shown(running.arrival.peer), running.request.name
        self._settings.logger.error("%s: %r: %s", client, name, error)

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
            self._complain(running, error)
            await self._refuse(port, running, BUSY, part, path)
        except Exception:
            self._settings.logger.exception("%s: %r", shown(running.arrival.peer), request.name)
            await self._refuse(port, running, _FAILED, part, path)
        finally:
            self._transfers.leave(running)
            self._note(running, running.finish or _STOPPED)

    async def _send(
        self, port: Port, running: Running, opened: AbstractAsyncContextManager[OpenFile]
    ) -> None:
        async with opened as file:
            with self._converse(port, running, file) as conversation:
                try:
                    if running.finish is None:
                        await conversation.run()
                        running.finish = conversation.finish
                finally:
                    self._settings.unregister_transfer(conversation)

    async def _receive(
        self, port: Port, running: Running, part: Part, path: tuple[str, ...]
    ) -> None:
        bound = self._settings.max_upload
        machine, granted = open_receiver(
            running.request, self._offer(None), self._settings.retries, bound
        )
        running.entry.granted, running.entry.size = granted, announced_size(running.request.options)
        async with part.create(path, overwrite=self._settings.overwrite, max_bytes=bound) as file:
            room = machine.terms.windowsize * machine.terms.blksize
            with port.line(running.arrival, room) as line:
                reception = Reception(line, machine, file)
                with reception.attached():
                    self._register(running, reception)
                    try:
                        if running.finish is None:
                            await self._take(running, reception)
                    finally:
                        self._settings.unregister_transfer(reception)

    async def _take(self, running: Running, reception: Reception) -> None:
        finish = await reception.run()
        self._note(running, finish)
        if reception.stored and not self.stopping:
            self._transfers.offer(running)
            await reception.linger()
        running.finish = finish

    def _offer(self, size: int | None) -> Offer:
        terms = _terms(self._settings.block_size, self._settings.timeout)
        return Offer(terms, self._settings.max_windowsize, size)

    def _register(self, running: Running, transfer: Transfer) -> None:
        running.transfer, running.entry.machine = transfer, transfer.machine
        self._transfers.offer(running)
        self._settings.register_transfer(transfer)

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
            self._lines.add(logging.WARNING, running.entry)

    def _note(self, running: Running, finish: Finish) -> None:
        """Note how a transfer ended, unless that has been noted."""
        now = asyncio.get_running_loop().time()
        if self._journal.finish(running.entry, finish, now):
            complete = finish.outcome is Outcome.COMPLETE
            self._lines.add(logging.INFO if complete else logging.WARNING, running.entry)

    @contextmanager
    def logged(self) -> Generator[None]:
        """Serve; when that is over, nothing waits to be written to the log."""
        try:
            yield
        finally:
            self._lines.write()


@lru_cache(maxsize=8)
def _terms(blksize: int, timeout: float) -> Terms:
    """Return what holds for clients that ask for nothing; it hardly ever changes."""
    return Terms(blksize=blksize, timeout=timeout)


def _at_hand(part: Part, request: Request) -> LocalFile | None:
    """Open the file that is to be read, if nothing has to be waited for."""
    if request.opcode is not Opcode.RRQ:
        return None
    try:
        return part.at_hand(path_below_root(request.name))
    except FileRefused:
        return None
