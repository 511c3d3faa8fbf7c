"""One file on its way to a client: waits, feeds the machine, and does what the machine says.

Datagrams and timers are served by callbacks of the loop, which is the shortest way that there is;
the task that owns the transfer wakes only to fetch more of the file, and at the end.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from jumpstarter_driver_tftp.alarm import Alarm
from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.files import OpenFile
from jumpstarter_driver_tftp.lines import Line
from jumpstarter_driver_tftp.packet import TftpErrorCode
from jumpstarter_driver_tftp.transfer import Command, Finish, Outcome, Send, Sender

ANSWER_BYTES = 2048
"""A sender only gets ACKs and short texts; what is longer is cut."""

CLOSED = Finish(Outcome.GONE, text="the client closed its port")


class Conversation:
    """Sends one file to one client.

    Attributes:
        machine: decides everything.
    """

    def __init__(self, line: Line, machine: Sender, file: OpenFile) -> None:
        """Prepare a transfer; `run` carries it out."""
        self.machine = machine
        self._line = line
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._alarm = Alarm(self._on_alarm)
        self._finish: Finish | None = None

    @property
    def expendable(self) -> bool:
        """Whether nobody may be there to miss it."""
        return not self.machine.heard

    async def run(self) -> Finish:
        """Send the file, and return how that ended. When cancelled, tell the client."""
        with self._attached():
            if not self._refill():
                await self._supply()
            if self._finish is None:
                self._perform(self.machine.start(self._loop.time()))
            while self._finish is None:
                if self.machine.wanted():
                    await self._supply()
                else:
                    self._wake.clear()
                    await self._wake.wait()
            return self._finish

    def take(self, datagram: bytes) -> None:
        """Take a datagram from the client."""
        self._perform(self.machine.receive(datagram, self._loop.time()))

    def refused(self) -> None:
        """End, since the client has closed its port."""
        self.abandon(CLOSED)

    @property
    def over(self) -> bool:
        """Whether it has ended, though its task may not know yet."""
        return self._finish is not None

    def catch_up(self) -> None:
        """Take what the client has sent already."""
        self._line.catch_up()

    def repeat(self) -> None:
        """Send again what is under way: the client shows that it has got nothing."""
        self._perform(self.machine.repeat())

    def abandon(self, finish: Finish) -> None:
        """End without a word to the client. What ends a transfer first counts."""
        if self._finish is None:
            self._finish = finish
            self._alarm.cancel()
            self._wake.set()

    def abort(self, code: int, text: str) -> None:
        """End, and tell the client why."""
        self._perform(self.machine.abort(code, text))

    @contextmanager
    def _attached(self) -> Generator[None]:
        with self._line.attached(self, ANSWER_BYTES):
            try:
                yield
            except Exception:
                self.abort(TftpErrorCode.NOT_DEFINED, "Server failed")
                raise
            finally:
                self.abort(TftpErrorCode.NOT_DEFINED, "Server is stopping")

    def _refill(self) -> bool:
        """Supply what can be had without waiting, and tell whether that is enough for now."""
        while self._finish is None and (wanted := self.machine.wanted()):
            try:
                read = self._file.at_hand(wanted)
            except FileRefused as refusal:
                self.abort(refusal.code, refusal.text)
                return True
            if read is None:
                return False
            self._carry_out(self.machine.supply(read[0], self._loop.time(), last=read[1]))
        return True

    async def _supply(self) -> None:
        try:
            chunk, last = await self._file.read(self.machine.wanted())
        except FileRefused as refusal:
            self.abort(refusal.code, refusal.text)
        else:
            self._perform(self.machine.supply(chunk, self._loop.time(), last=last))

    def _on_alarm(self) -> None:
        self._perform(self.machine.timeout(self._loop.time()))

    def _perform(self, commands: list[Command]) -> None:
        """Do what the machine says, and give it more of the file, or wake the task that does."""
        if self._finish is not None:
            return
        self._carry_out(commands)
        if not self._refill():
            self._wake.set()
        if self._finish is None:
            self._alarm.set(self.machine.deadline())

    def _carry_out(self, commands: list[Command]) -> None:
        datagrams = [command.datagram for command in commands if isinstance(command, Send)]
        if datagrams:
            self._line.send(datagrams)
        if commands and isinstance(commands[-1], Finish):
            self.abandon(commands[-1])
