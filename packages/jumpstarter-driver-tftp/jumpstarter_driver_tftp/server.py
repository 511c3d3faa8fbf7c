"""The TFTP server: takes requests, and gives each transfer a task, a port and a machine.

Ready means ready: `address` and `ready_event` are set once the port is bound, and a port that
cannot be bound is an error for whoever starts the server.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup
from opendal import AsyncOperator

from jumpstarter_driver_tftp.conversation import Conversation
from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.files import OpenFile, files_of
from jumpstarter_driver_tftp.names import path_below_root
from jumpstarter_driver_tftp.options import DEFAULT_BLOCK_BYTES, Terms
from jumpstarter_driver_tftp.packet import Error, Opcode, Request, TftpErrorCode
from jumpstarter_driver_tftp.requests import (
    Earlier,
    Repeat,
    judge,
    judge_repeat,
    open_sender,
)
from jumpstarter_driver_tftp.sockets import Arrival, Listener, SockAddr, listen, resolve
from jumpstarter_driver_tftp.transfer import Finish, Outcome

__all__ = ["Opcode", "TftpErrorCode", "TftpServer"]

SHOWN_BYTES = 80
"""How much of a datagram that is refused stands in the log."""


@dataclass(slots=True, eq=False)
class _Running:
    """A transfer from its request on; the conversation begins once the file is open."""

    arrival: Arrival
    began: float
    conversation: Conversation | None = None
    replaced: bool = False


class TftpServer:
    """Serves files for reading: RFC 1350, 2347, 2348, 2349 and 7440.

    Attributes:
        host: name or address to listen on; `::` takes IPv4 as well.
        port: port to listen on; 0 takes any free one.
        operator: where the files are.
        block_size: bytes per block for a client that does not negotiate; RFC 1350 knows only 512.
        timeout: seconds before a packet is sent again, for a client that does not negotiate.
        retries: how often a packet is sent before the client counts as silent.
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
    ) -> None:
        """Prepare a server; a directory may stand in for an operator. Needs no event loop."""
        self.host = host
        self.port = port
        self.operator = operator
        self.block_size = block_size
        self.timeout = timeout
        self.retries = retries
        self.active_transfers: set[Conversation] = set()
        self.ready_event = asyncio.Event()
        self.shutdown_event = asyncio.Event()
        self.transport: Listener | None = None
        self.logger = (logger or logging.getLogger(__name__)).getChild(type(self).__name__)
        self._files = files_of(operator)
        self._running: dict[SockAddr, _Running] = {}

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

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[tuple[str, int]]:
        """Serve as long as the context lasts; gives the address that is listened on.

        Raises:
            OSError: the port cannot be bound.
        """
        loop = asyncio.get_running_loop()
        with listen(await resolve(self.host, self.port)) as listener:
            async with anyio.create_task_group() as tasks:
                loop.add_reader(listener.socket, self._on_readable, listener, tasks)
                self.transport = listener
                self.ready_event.set()
                try:
                    yield listener.address
                finally:
                    loop.remove_reader(listener.socket)
                    if self.transport is listener:
                        self.transport = None
                    tasks.cancel_scope.cancel()

    def register_transfer(self, transfer: Conversation) -> None:
        """Count a transfer among those that run."""
        self.active_transfers.add(transfer)

    def unregister_transfer(self, transfer: Conversation) -> None:
        """Count a transfer among those that run no longer."""
        self.active_transfers.discard(transfer)

    def _on_readable(self, listener: Listener, tasks: TaskGroup) -> None:
        arrival = listener.receive()
        if arrival is None or self.shutdown_event.is_set():
            return
        judged = judge(arrival.datagram)
        if isinstance(judged, Error):
            shown = _shown(arrival.peer), arrival.datagram[:SHOWN_BYTES], judged.text
            self.logger.warning("%s: %r refused: %s", *shown)
            listener.reply(arrival, judged.encode())
        elif judged is not None and self._is_new(arrival):
            running = _Running(arrival, asyncio.get_running_loop().time())
            self._running[arrival.peer] = running
            tasks.start_soon(self._serve, listener, running, judged)

    def _is_new(self, arrival: Arrival) -> bool:
        """Tell whether a request begins a transfer, and deal with one that its client has."""
        running = self._running.get(arrival.peer)
        if running is None:
            return True
        conversation = running.conversation
        heard = conversation is not None and conversation.heard
        earlier = Earlier(running.arrival.datagram, running.began, heard)
        now = asyncio.get_running_loop().time()
        match judge_repeat(earlier, arrival.datagram, now):
            case Repeat.RESEND if conversation is not None:
                conversation.repeat()
            case Repeat.REPLACE:
                running.replaced = True
                if conversation is not None:
                    conversation.abandon("the client began anew")
                return True
            case _:
                pass
        return False

    async def _serve(self, listener: Listener, running: _Running, request: Request) -> None:
        arrival = running.arrival
        peer = _shown(arrival.peer)
        try:
            async with self._files.open(path_below_root(request.name)) as file:
                await self._transfer(listener, running, request, file)
        except FileRefused as refusal:
            self.logger.warning("%s: %r refused: %s", peer, request.name, refusal.text)
            _answer(listener, running, Error(refusal.code, refusal.text))
        except OSError as error:
            self.logger.error("%s: %r failed: %s", peer, request.name, error)  # noqa: TRY400 - no fault of ours
            _answer(listener, running, Error(TftpErrorCode.NOT_DEFINED, "Server is busy"))
        except Exception:
            self.logger.exception("%s: %r failed", peer, request.name)
            _answer(listener, running, Error(TftpErrorCode.NOT_DEFINED, "Server failed"))
        finally:
            if self._running.get(arrival.peer) is running:
                del self._running[arrival.peer]

    async def _transfer(
        self, listener: Listener, running: _Running, request: Request, file: OpenFile
    ) -> None:
        terms = Terms(blksize=self.block_size, timeout=self.timeout)
        machine = open_sender(request, terms, file.size, self.retries)
        with listener.channel(running.arrival) as channel:
            conversation = Conversation(channel, machine, file)
            running.conversation = conversation
            if running.replaced:
                return
            self.register_transfer(conversation)
            try:
                finish = await conversation.run()
            finally:
                self.unregister_transfer(conversation)
        self._report(running, request, conversation, finish)

    def _report(
        self, running: _Running, request: Request, conversation: Conversation, finish: Finish
    ) -> None:
        machine = conversation.machine
        seconds = asyncio.get_running_loop().time() - running.began
        self.logger.log(
            logging.INFO if finish.outcome is Outcome.COMPLETE else logging.WARNING,
            "%s: %r %s%s after %d blocks of %d (window %d) in %.2f s, %d sent again",
            _shown(running.arrival.peer),
            request.name,
            finish.outcome.name.lower().replace("_", " "),
            f" ({finish.text!r})" if finish.text else "",
            machine.acknowledged_blocks,
            machine.terms.blksize,
            machine.terms.windowsize,
            seconds,
            machine.resent,
        )


def _answer(listener: Listener, running: _Running, error: Error) -> None:
    # A client that has asked for something else since would take this for the answer to that.
    if not running.replaced:
        listener.reply(running.arrival, error.encode())


def _shown(peer: SockAddr) -> str:
    host = peer[0].removeprefix("::ffff:")
    return f"[{host}]:{peer[1]}" if ":" in host else f"{host}:{peer[1]}"
