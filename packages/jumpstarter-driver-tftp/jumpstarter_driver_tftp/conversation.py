"""One file on its way to a client: waits, feeds the machine, and does what the machine says.

Datagrams and timers are served by callbacks of the loop, and what the system has at hand of the
file is read in them, which is the shortest way that there is: most transfers never need a task.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Self

import anyio

from jumpstarter_driver_tftp.alarm import Alarm
from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.files import OpenFile
from jumpstarter_driver_tftp.lines import Line
from jumpstarter_driver_tftp.packet import TftpErrorCode
from jumpstarter_driver_tftp.transfer import Command, Finish, Outcome, Send, Sender

ANSWER_BYTES = 2048
"""A sender only gets ACKs and short texts; what is longer is cut."""

CLOSED = Finish(Outcome.GONE, text="the client closed its port")

Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]
"""Starts a task that runs a function."""


class Conversation:
    """Sends one file to one client.

    Attributes:
        machine: decides everything.
        finish: how it ended, or None as long as it runs.
    """

    def __init__(self, line: Line, machine: Sender, file: OpenFile) -> None:
        """Prepare a transfer; `run` or `begin`, inside `attached`, carry it out.

        Takes over the line, and closes it in the end.
        """
        self.machine = machine
        self.finish: Finish | None = None
        self._line = line
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._on_alarm)
        self._started = False
        self._fetching = False  # whether a task reads the file
        self._ended: Callable[[], None] | None = None
        self._spawn: Spawn | None = None

    @property
    def expendable(self) -> bool:
        """Whether nobody may be there to miss it."""
        return not self.machine.heard

    async def run(self) -> None:
        """Send the file, in the context of `attached`; `finish` tells how that ended."""
        ended = asyncio.Event()
        async with anyio.create_task_group() as tasks:
            self.begin(ended.set, tasks.start_soon)
            await ended.wait()

    def begin(self, ended: Callable[[], None], spawn: Spawn) -> None:
        """Send the file, in the context of `attached`.

        Args:
            ended: called once, when nothing more is sent and the file is no longer read.
            spawn: runs what has to wait for the file.
        """
        self._ended, self._spawn = ended, spawn
        self._go_on()

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.finish is not None

    def take(self, datagram: bytes) -> None:
        """Take a datagram from the client."""
        self._perform(self.machine.receive(datagram, self._loop.time()))

    def refused(self) -> None:
        """End, since the client has closed its port."""
        self.abandon(CLOSED)

    def catch_up(self) -> None:
        """Take what the client has sent already."""
        self._line.catch_up()

    def repeat(self) -> None:
        """Send again what is under way: the client shows that it has got nothing."""
        self._perform(self.machine.repeat())

    def abandon(self, finish: Finish) -> None:
        """End without a word to the client. What ends a transfer first counts."""
        if self.finish is None:
            self.finish = finish
            self._alarm.cancel()
            self._tell_end()

    def abort(self, code: int, text: str) -> None:
        """End, and tell the client why."""
        if self.finish is None:
            self._carry_out(self.machine.abort(code, text))

    def attached(self) -> Self:
        """Listen to the client from now on, until `close` or the end of the context that this is.

        Raises:
            OSError: the system cannot watch any more lines.
        """
        try:
            self._line.attach(self, ANSWER_BYTES)
        except OSError:
            self._line.close()
            raise
        return self

    def __enter__(self) -> Self:
        """Do nothing: `attached` did."""
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Close it, and tell the client when it was a failure that ended it."""
        if isinstance(error, Exception):
            self.abort(TftpErrorCode.NOT_DEFINED, "Server failed")
        self.close()

    def close(self) -> None:
        """Listen no longer. If this comes before the transfer's end, the client is told."""
        self.abort(TftpErrorCode.NOT_DEFINED, "Server is stopping")
        self._line.detach()
        self._line.close()

    def _go_on(self) -> None:
        """Give the machine what it wants, or see to it, and arm the timer."""
        while self._refill() and not self._started:
            self._started = True
            self._carry_out(self.machine.start(self._loop.time()))
        if self.finish is None:
            self._alarm.set(self.machine.deadline())

    def _refill(self) -> bool:
        """Supply what can be had without waiting, and tell whether that is enough for now."""
        while self.finish is None and not self._fetching and (wanted := self.machine.wanted()):
            try:
                read = self._file.at_hand(wanted)
            except FileRefused as refusal:
                self.abort(refusal.code, refusal.text)
                return False
            if read is None:
                self._fetch()
            else:
                self._carry_out(self.machine.supply(read[0], self._loop.time(), last=read[1]))
        return self.finish is None and not self._fetching

    def _fetch(self) -> None:
        if self._spawn is not None:
            self._fetching = True
            self._spawn(self._supply)

    async def _supply(self) -> None:
        """Read what has to be waited for."""
        try:
            while self.finish is None and (wanted := self.machine.wanted()):
                chunk, last = await self._file.read(wanted)
                if self.finish is None:
                    now = self._loop.time()
                    self._carry_out(self.machine.supply(chunk, now, last=last))
        except FileRefused as refusal:
            self.abort(refusal.code, refusal.text)
        except Exception:
            self.abort(TftpErrorCode.NOT_DEFINED, "Server failed")
            raise
        finally:
            self._fetching = False
            if self.finish is not None:
                self._tell_end()
        self._go_on()

    def _tell_end(self) -> None:
        if self._ended is not None and not self._fetching:
            ended = self._ended
            self._ended = self._spawn = None  # nothing is left that leads back here
            ended()

    def _on_alarm(self) -> None:
        self._perform(self.machine.timeout(self._loop.time()))

    def _perform(self, commands: list[Command]) -> None:
        if self.finish is None:
            self._carry_out(commands)
            self._go_on()

    def _carry_out(self, commands: list[Command]) -> None:
        if not commands:
            return
        last = commands[-1]
        if len(commands) == 1 and isinstance(last, Send):
            self._line.send_one(last.datagram)
            return
        datagrams = [command.datagram for command in commands if isinstance(command, Send)]
        if datagrams:
            self._line.send(datagrams)
        if isinstance(last, Finish):
            self.abandon(last)
