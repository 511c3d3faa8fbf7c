"""One transfer on its sockets: waits, feeds the machine, and does what the machine says.

Datagrams and timers are served by callbacks of the loop, which is the shortest way that there is;
the task that owns the transfer wakes only to fetch more of the file, and at the end. One timer is
armed at most, and only moved when it fires: most deadlines are outrun by the next ACK.
"""

import asyncio
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.files import OpenFile
from jumpstarter_driver_tftp.packet import (
    MAX_DATAGRAM_BYTES,
    Error,
    TftpErrorCode,
    is_error,
)
from jumpstarter_driver_tftp.sockets import Channel
from jumpstarter_driver_tftp.transfer import Command, Finish, Outcome, Send, Sender

ANSWER_BYTES = 2048
"""A sender only gets ACKs and short texts; what is longer is cut."""

_UNKNOWN_TID = Error(TftpErrorCode.UNKNOWN_TID, "Unknown transfer ID").encode()


class Conversation:
    """Sends one file to one client.

    Attributes:
        machine: decides everything.
        heard: whether the client has sent anything yet.
    """

    def __init__(self, channel: Channel, machine: Sender, file: OpenFile) -> None:
        """Prepare a transfer; `run` carries it out."""
        self.machine = machine
        self.heard = False
        self._socket = channel.connected
        self._strays = channel.strays
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._unsent: deque[bytes] = deque()
        self._finish: Finish | None = None

    async def run(self) -> Finish:
        """Send the file, and return how that ended. When cancelled, tell the client."""
        with self._attached():
            await self._supply()
            self._perform(self.machine.start(self._loop.time()))
            while self._finish is None:
                if self.machine.wanted():
                    await self._supply()
                else:
                    self._wake.clear()
                    await self._wake.wait()
            return self._finish

    def repeat(self) -> None:
        """Send again what is under way: the client shows that it has got nothing."""
        self._perform(self.machine.repeat())

    def abandon(self, text: str) -> None:
        """End without a word to the client."""
        self._end(Finish(Outcome.GONE, text=text))

    @contextmanager
    def _attached(self) -> Generator[None]:
        self._loop.add_reader(self._socket, self._on_readable)
        self._loop.add_reader(self._strays, self._on_stray)
        try:
            yield
        finally:
            if self._finish is None:
                self._perform(self.machine.abort(TftpErrorCode.NOT_DEFINED, "Server is stopping"))
            if self._timer is not None:
                self._timer.cancel()
            self._loop.remove_writer(self._socket)
            self._loop.remove_reader(self._socket)
            self._loop.remove_reader(self._strays)

    async def _supply(self) -> None:
        try:
            chunk, last = await self._file.read(self.machine.wanted())
        except FileRefused as refusal:
            self._perform(self.machine.abort(refusal.code, refusal.text))
        else:
            self._perform(self.machine.supply(chunk, self._loop.time(), last=last))

    def _on_readable(self) -> None:
        try:
            datagram = self._socket.recv(ANSWER_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._broken(error)
            return
        self.heard = True
        self._perform(self.machine.receive(datagram, self._loop.time()))

    def _on_stray(self) -> None:
        try:
            datagram, source = self._strays.recvfrom(MAX_DATAGRAM_BYTES)
            if not is_error(datagram):
                self._strays.sendto(_UNKNOWN_TID, source)
        except OSError:
            return  # whoever it was is none of this transfer's business

    def _on_timer(self) -> None:
        self._timer = None
        self._perform(self.machine.timeout(self._loop.time()))

    def _perform(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Send(datagram):
                    self._send(datagram)
                case Finish():
                    self._end(command)
                case _:
                    raise AssertionError(f"a sender does not ask for {command}")
        self._arm()
        if self.machine.wanted():
            self._wake.set()

    def _arm(self) -> None:
        deadline = self.machine.deadline()
        if deadline is None or self._finish is not None:
            return
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._on_timer)

    def _send(self, datagram: bytes) -> None:
        if self._unsent:
            self._unsent.append(datagram)
            return
        try:
            self._socket.send(datagram)
        except BlockingIOError:
            self._unsent.append(datagram)
            self._loop.add_writer(self._socket, self._on_writable)
        except OSError as error:
            self._broken(error)

    def _on_writable(self) -> None:
        waiting, self._unsent = self._unsent, deque()
        self._loop.remove_writer(self._socket)
        for datagram in waiting:
            self._send(datagram)

    def _broken(self, error: OSError) -> None:
        if isinstance(error, ConnectionRefusedError):
            self._end(Finish(Outcome.GONE, text="the client closed its port"))
        else:
            self._end(Finish(Outcome.GONE, text=error.strerror or "the network failed"))

    def _end(self, finish: Finish) -> None:
        if self._finish is None:
            self._finish = finish
            self._wake.set()
