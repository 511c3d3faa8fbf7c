"""The side of a transfer that sends the file: the server of a read, the client of a write.

The rules, beyond RFC 1350:

* Blocks are counted without bound; only the 16 bits that travel wrap.
* An ACK for anything but what is under way is stale and does nothing. In lock-step a repeated
  ACK never makes this side repeat a block (RFC 1123 §4.2.3.1, the Sorcerer's Apprentice).
* In a window (RFC 7440) an ACK that stops short of what was sent reports a lost block, and all
  after it is sent again. It may also be the echo of a block that was sent twice. So an ACK is
  believed only when it names a block that was sent exactly once; otherwise the timer decides.
  Thus no echo ever makes another one.
* Waiting for our own storage is not the far side's silence: no deadline runs then.
"""

from collections import deque
from enum import Enum, auto

from jumpstarter_driver_tftp.errors import OptionError, PacketError
from jumpstarter_driver_tftp.netascii import Codec, Octet
from jumpstarter_driver_tftp.options import Pairs, Terms, accept
from jumpstarter_driver_tftp.packet import (
    Error,
    Oack,
    Packet,
    TftpErrorCode,
    acknowledged,
    encode_data,
    parse,
)
from jumpstarter_driver_tftp.transfer.commands import Command, Finish, Outcome, Send, fail
from jumpstarter_driver_tftp.transfer.retry import Retry

READ_AHEAD_BYTES = 256 * 1024
"""How much of the file is asked for at a time, and about how much is held beyond the window."""


class _State(Enum):
    OPENING = auto()
    SENDING = auto()
    DONE = auto()


class Sender:
    """Sends one file.

    Attributes:
        terms: what was agreed; a client's may change with the first answer.
        resent: packets that were sent more than once.
    """

    def __init__(
        self,
        terms: Terms,
        *,
        tries: int,
        opening: bytes | None = None,
        asked: Pairs | None = None,
        codec: Codec | None = None,
    ) -> None:
        """Prepare a transfer.

        Args:
            terms: what holds, or for a client what holds until the server answers.
            tries: how often a packet is sent before the far side counts as silent.
            opening: what ACK 0 answers: an OACK, or a client's request. None starts with DATA 1.
            asked: the options in a client's request; None on a server, which takes no OACK.
            codec: turns the file's bytes into those that travel.
        """
        self.terms = terms
        self.resent = 0
        self._opening = opening
        self._asked = asked
        self._codec: Codec = codec or Octet()
        self._retry = Retry(terms.timeout, tries)
        self._state = _State.OPENING
        self._window: deque[bytes] = deque()
        self._base = 1  # the number of the first block in the window
        self._last: int | None = None  # the number of the last block, once it is made
        self._twice = -1  # no block above this number was sent more than once; an OACK counts as 0
        self._waiting = memoryview(b"")  # bytes that are not in a block yet
        self._ended = False

    @property
    def acknowledged_blocks(self) -> int:
        """How many blocks the far side has."""
        return self._base - 1

    def start(self, now: float) -> list[Command]:
        """Return the first packets."""
        if self._opening is None:
            return self._begin(now)
        self._retry.sent(now)
        return [Send(self._opening)]

    def wanted(self) -> int:
        """Return how many bytes of the file to `supply` next; 0 when there are enough for now."""
        enough = max(READ_AHEAD_BYTES // 2, self.terms.blksize)
        if self._ended or self._state is _State.DONE or len(self._waiting) >= enough:
            return 0
        return READ_AHEAD_BYTES

    def supply(self, chunk: bytes, now: float, *, last: bool) -> list[Command]:
        """Take the next bytes of the file; `last` when nothing follows them."""
        coded = self._codec.feed(chunk) + (self._codec.end() if last else b"")
        self._waiting = memoryview(b"".join((self._waiting, coded)) if self._waiting else coded)
        self._ended = last
        return self._fill(now) if self._state is _State.SENDING else []

    def receive(self, datagram: bytes, now: float) -> list[Command]:
        """Take a datagram from the far side."""
        if self._state is _State.DONE:
            return []
        block = acknowledged(datagram)
        if block is None:
            return self._receive_other(datagram, now)
        if self._state is _State.OPENING:
            return self._begin(now) if block == 0 else []
        return self._receive_ack(block, now)

    def deadline(self) -> float | None:
        """Return when to call `timeout`, or None while nothing is waited for."""
        return self._retry.due

    def timeout(self, now: float) -> list[Command]:
        """Send again what got no answer, or give up."""
        if not self._retry.is_due(now):
            return []
        if not self._retry.again(now):
            return self._finish(Finish(Outcome.TIMED_OUT, text="no answer"))
        return self.repeat()

    def repeat(self) -> list[Command]:
        """Return what is under way once more: the far side shows that it did not get it."""
        if self._state is _State.OPENING and self._opening is not None:
            self.resent += 1
            self._twice = 0
            return [Send(self._opening)]
        self.resent += len(self._window)
        self._twice = self._base + len(self._window) - 1
        return [Send(packet) for packet in self._window]

    def abort(self, code: int, text: str) -> list[Command]:
        """End the transfer from this side."""
        if self._state is _State.DONE:
            return []
        self._finish()
        return fail(code, text)

    def _receive_ack(self, block: int, now: float) -> list[Command]:
        count = (block - self._base + 1) & 0xFFFF
        under_way = len(self._window)
        if count > under_way:
            return []
        named = self._base + count - 1
        lost = count < under_way and self.terms.windowsize > 1 and named > self._twice
        for _ in range(count):
            self._window.popleft()
        self._base += count
        if self._last is not None and self._base > self._last:
            return self._finish(Finish(Outcome.COMPLETE))
        if count:
            self._retry.sent(now)
        elif lost:
            self._retry.extend(now)
        else:
            return []
        return [*self.repeat(), *self._fill(now)] if lost else self._fill(now)

    def _receive_other(self, datagram: bytes, now: float) -> list[Command]:
        try:
            packet = parse(datagram)
        except PacketError as error:
            return [Send(Error(TftpErrorCode.ILLEGAL_OPERATION, str(error)).encode())]
        return self._receive_packet(packet, now)

    def _receive_packet(self, packet: Packet, now: float) -> list[Command]:
        match packet:
            case Error(code, text):
                return self._finish(Finish(Outcome.REFUSED, code, text))
            case Oack(options) if self._asked is not None:
                return self._receive_oack(self._asked, options, now)
            case _:
                unexpected = Error(TftpErrorCode.ILLEGAL_OPERATION, "Unexpected opcode")
                return [Send(unexpected.encode())]

    def _receive_oack(self, asked: Pairs, options: Pairs, now: float) -> list[Command]:
        if self._state is not _State.OPENING:
            return []  # a repeated OACK: DATA 1 answers it, and has its own timer
        try:
            self.terms = accept(asked, options, self.terms)
        except OptionError as error:
            return self.abort(TftpErrorCode.OPTION_REFUSED, str(error))
        self._retry.timeout = self.terms.timeout
        return self._begin(now)

    def _begin(self, now: float) -> list[Command]:
        self._state = _State.SENDING
        self._retry.stop()
        return self._fill(now)

    def _fill(self, now: float) -> list[Command]:
        """Send new blocks, as far as the window and the bytes at hand allow."""
        commands: list[Command] = []
        while len(self._window) < self.terms.windowsize:
            packet = self._next_packet()
            if packet is None:
                break
            self._window.append(packet)
            commands.append(Send(packet))
        if commands:
            self._retry.sent(now)
        elif not self._window:
            self._retry.stop()
        return commands

    def _next_packet(self) -> bytes | None:
        size = self.terms.blksize
        if self._last is not None or (len(self._waiting) < size and not self._ended):
            return None
        number = self._base + len(self._window)
        if len(self._waiting) < size:
            self._last = number
        packet = encode_data(number, self._waiting[:size])
        self._waiting = self._waiting[size:]
        return packet

    def _finish(self, *commands: Finish) -> list[Command]:
        self._state = _State.DONE
        self._retry.stop()
        self._window.clear()
        self._waiting = memoryview(b"")
        return list(commands)
