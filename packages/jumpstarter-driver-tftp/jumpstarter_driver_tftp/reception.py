"""One file on its way from a client: takes what comes, has it written, and then says so.

What the machine says is done in order, so nothing is acknowledged that was not handed to the file,
and the last block only once the file is complete. While a file is slow to take what it is given,
datagrams wait, and then get lost as on a network that is too slow: the client waits for its ACK.
"""

import asyncio
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from jumpstarter_driver_tftp.alarm import Alarm
from jumpstarter_driver_tftp.conversation import CLOSED
from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.lines import Line
from jumpstarter_driver_tftp.packet import HEADER_BYTES, TftpErrorCode
from jumpstarter_driver_tftp.transfer import Command, Finish, Outcome, Receiver, Send, Write

MIN_INBOX_BYTES = 64 * 1024
"""What may wait for a slow file at least; a whole window always may."""


class Incoming(Protocol):
    """A file that is being written."""

    async def write(self, data: bytes) -> None:
        """Append some bytes.

        Raises:
            FileRefused: they cannot be kept.
        """
        ...

    async def complete(self) -> None:
        """Give the file its name.

        Raises:
            FileRefused: it cannot have that.
        """
        ...


class Reception:
    """Takes one file from one client.

    Attributes:
        machine: decides everything.
        stored: whether the file is complete.
    """

    def __init__(self, line: Line, machine: Receiver, file: Incoming) -> None:
        """Prepare a transfer; `run` carries it out, in the context of `attached`."""
        self.machine = machine
        self.stored = False
        self._line = line
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._alarm = Alarm(self._wake.set)
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0
        self._max_datagram = machine.terms.blksize + HEADER_BYTES + 1  # one too long is noticed
        self._max_inbox = max(MIN_INBOX_BYTES, machine.terms.windowsize * self._max_datagram)
        self._stalled = 0.0  # for how long the file kept the machine waiting since its deadline
        self._finish: Finish | None = None

    @property
    def expendable(self) -> bool:
        """Whether nobody may be there to miss it, or it only waits for a last ACK to be lost."""
        return self.stored or not self.machine.heard

    @contextmanager
    def attached(self) -> Generator[None]:
        """Listen to the client. If this ends before the transfer does, the client is told."""
        self._line.attach(self, self._max_datagram)
        try:
            yield
        except Exception:
            self.abort(TftpErrorCode.NOT_DEFINED, "Server failed")
            raise
        finally:
            self.abort(TftpErrorCode.NOT_DEFINED, "Server is stopping")
            self._alarm.cancel()
            self._line.detach()

    async def run(self) -> Finish:
        """Take the file, and return how that ended; the client was told."""
        await self._perform(self.machine.start(self._loop.time()))
        while self._finish is None and not self.stored:
            await self._step()
        if self.stored or self._finish is None:
            return Finish(Outcome.COMPLETE)
        return self._finish

    async def linger(self) -> None:
        """Repeat the last ACK as long as the client may not have got it."""
        while self._finish is None:
            await self._step()

    def take(self, datagram: bytes) -> None:
        """Take a datagram from the client, or lose it when too many wait."""
        if self._inbox_bytes < self._max_inbox:
            self._inbox.append(datagram)
            self._inbox_bytes += len(datagram)
            self._wake.set()

    def refused(self) -> None:
        """End, since the client has closed its port."""
        self.abandon(CLOSED)

    @property
    def over(self) -> bool:
        """Whether it has ended, but for repeating the last ACK."""
        return self.stored or self._finish is not None

    def catch_up(self) -> None:
        """Take what the client has sent already."""
        self._line.catch_up()

    def repeat(self) -> None:
        """Send the first answer again: the client shows that it has not got it."""
        if self._finish is None:
            self._answer(self.machine.repeat())

    def abandon(self, finish: Finish) -> None:
        """End without a word to the client. What ends a transfer first counts."""
        if self._finish is None:
            self._finish = finish
            self._wake.set()

    def abort(self, code: int, text: str) -> None:
        """End, and tell the client why, unless it has been told that the file is complete."""
        if self._finish is None and not self.stored:
            self._answer(self.machine.abort(code, text))

    async def _step(self) -> None:
        now = self._loop.time()
        due = self.machine.deadline()
        if due is not None:
            due += self._stalled
        if self._inbox:
            self._stalled = 0.0
            await self._perform(self._receive(now))
        elif due is not None and now >= due:
            self._stalled = 0.0
            await self._perform(self.machine.timeout(now))
        else:
            self._alarm.set(due)
            self._wake.clear()
            await self._wake.wait()

    def _receive(self, now: float) -> list[Command]:
        commands: list[Command] = []
        for datagram in self._inbox:
            commands += self.machine.receive(datagram, now)
        self._inbox.clear()
        self._inbox_bytes = 0
        return commands

    async def _perform(self, commands: list[Command]) -> None:
        waiting: list[bytes] = []
        try:
            for command in commands:
                if self._finish is not None:
                    return
                if isinstance(command, Write):
                    waiting.append(command.data)
                    if not command.last:
                        continue
                await self._store(waiting, last=isinstance(command, Write))
                waiting.clear()
                self._answer([command])
            await self._store(waiting, last=False)
        except FileRefused as refusal:
            self.abort(refusal.code, refusal.text)

    async def _store(self, chunks: list[bytes], *, last: bool) -> None:
        began = self._loop.time()
        if data := b"".join(chunks):
            await self._file.write(data)
        if last:
            await self._file.complete()
            self.stored = True
        self._stalled += self._loop.time() - began

    def _answer(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Send):
                self._line.send_one(command.datagram)
            elif isinstance(command, Finish):
                self.abandon(command)
