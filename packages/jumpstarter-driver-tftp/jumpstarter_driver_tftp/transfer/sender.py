"""The side of a transfer that sends the file: the server of a read, the client of a write.

The rules, beyond RFC 1350:

* Blocks are counted without bound; only the 16 bits that travel wrap.
* An ACK for anything but what is under way is stale and does nothing. In lock-step a repeated
  ACK never makes this side repeat a block (RFC 1123 §4.2.3.1, the Sorcerer's Apprentice).
* In a window (RFC 7440) an ACK that stops short of what was sent reports a lost block, and all
  after it is sent again. It may also be the echo of a block that was sent twice. So an ACK is
  believed when it names a block that was sent exactly once; or when it brings progress, and comes
  so long after the second time that it must be the answer to that. Otherwise the timer decides.
  Thus no echo ever makes another one: what it costs ends with the file.
* Waiting for our own storage is not the far side's silence: no deadline runs while a window could
  take more than there is. What was sent of it and got lost, the far side's own timer reports.
* The round trip is measured by one block at a time, the last of those sent together, and only from
  an ACK for a block that was sent once.
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
    encode_blocks,
    parse,
)
from jumpstarter_driver_tftp.transfer.commands import Command, Finish, Outcome, Send, fail
from jumpstarter_driver_tftp.transfer.retry import Retry

READ_AHEAD_BYTES = 256 * 1024
"""How much of the file is asked for at a time, and about how much is held beyond the window."""


_TOGETHER_BYTES = 16 * 1024
"""How much of the file is made into blocks at once: each for itself costs more."""

_NONE = -1
"""No number of a block, and below that of each."""


class _State(Enum):
    OPENING = auto()
    SENDING = auto()
    DONE = auto()


class Sender:
    """Sends one file.

    Attributes:
        terms: what was agreed; a client's may change with the first answer.
        resent: how often a packet was sent once more.
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
            tries: how often a packet is sent before the far side counts as silent; what is
                counted is in `Retry`.
            opening: what ACK 0 answers: an OACK, or a client's request. None starts with DATA 1.
            asked: the options in a client's request; None on a server, which takes no OACK.
            codec: turns the file's bytes into those that travel.
        """
        self.terms = terms
        self._read_by(terms.blksize)
        self.resent = 0
        self._opening = opening
        self._asked = asked
        self._codec: Codec = codec or Octet()
        self._retry = Retry(terms.timeout, tries, exact=terms.exact_timeout)
        self._state = _State.OPENING
        self._window: deque[bytes] = deque()
        self._ready: deque[bytes] = deque()  # blocks that follow those in the window
        self._base = 1  # the number of the first block in the window
        self._last: int | None = None  # the number of the last block, once it is made
        self._short = 0  # bytes by which the last block is smaller than the others
        # No block above this number was sent more than once; an OACK counts as 0.
        self._twice = _NONE
        self._twice_at = 0.0
        self._waiting: deque[memoryview] = deque()  # bytes that are not in a block yet, in pieces
        self._waiting_bytes = 0
        self._ended = False
        self._answered = False  # whether the far side sent an ERROR, or took up the opening
        self._timed = _NONE  # the block whose answer tells the round trip, and when it was sent
        self._timed_at = 0.0

    @property
    def acknowledged_blocks(self) -> int:
        """How many blocks the far side has."""
        return self._base - 1

    @property
    def done(self) -> int:
        """How many bytes the far side has, as they travelled."""
        whole = self.acknowledged_blocks * self.terms.blksize
        return whole if self.acknowledged_blocks != self._last else whole - self._short

    @property
    def heard(self) -> bool:
        """Whether the far side has answered."""
        return self._answered or self._base > 1

    @property
    def rtt(self) -> float | None:
        """The smoothed round trip in seconds, or None before the first was measured."""
        return self._retry.rtt

    def start(self, now: float) -> list[Command]:
        """Return the first packets."""
        if self._opening is None:
            return self._begin(now)
        self._retry.sent(now)
        self._time(0, now)
        return [Send(self._opening)]

    def wanted(self) -> int:
        """Return how many bytes of the file to `supply` next; 0 when there are enough for now."""
        if self._ended or self._waiting_bytes >= self._enough:
            return 0
        return self._chunk

    def supply(self, chunk: bytes, now: float, *, last: bool) -> list[Command]:
        """Take the next bytes of the file; `last` when nothing follows them."""
        coded = self._codec.feed(chunk) + (self._codec.end() if last else b"")
        if coded:
            self._waiting.append(memoryview(coded))
            self._waiting_bytes += len(coded)
        self._ended = last
        if self._state is not _State.SENDING or len(self._window) >= self.terms.windowsize:
            return []
        self._timed = _NONE  # the answer to a window comes at its end, for which we were waited for
        return self._fill(now)

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
        if not self._retry.again(now, heard=self.heard):
            return self._finish(Finish(Outcome.TIMED_OUT, text="no answer"))
        return self._repeat(now)

    def repeat(self) -> list[Command]:
        """Return what is under way once more: the far side shows that it did not get it."""
        return self._repeat(self._twice_at)

    def _repeat(self, now: float) -> list[Command]:
        if self._state is _State.OPENING and self._opening is not None:
            self.resent += 1
            self._twice = 0
            return [Send(self._opening)]
        self.resent += len(self._window)
        self._twice = self._base + len(self._window) - 1
        self._twice_at = now
        return [Send(packet) for packet in self._window]

    def abort(self, code: int, text: str) -> list[Command]:
        """End the transfer from this side."""
        if self._state is _State.DONE:
            return []
        self._finish()
        return fail(code, text)

    def _receive_ack(self, block: int, now: float) -> list[Command]:
        count = (block - self._base + 1) & 0xFFFF
        window = self._window
        if count > len(window):
            return []
        lost = count < len(window) and self._reports_loss(count, now)
        if not count and not lost:
            return []
        for _ in range(count):
            window.popleft()
        self._base += count
        if self._timed < self._base:
            self._measure(now)
        if self._last is not None and self._base > self._last:
            return self._finish(Finish(Outcome.COMPLETE))
        return [*self._repeat(now), *self._fill(now)] if lost else self._fill(now)

    def _reports_loss(self, count: int, now: float) -> bool:
        """Tell whether an ACK for the first `count` blocks under way says that the next is lost."""
        if self.terms.windowsize == 1:
            return False
        if self._base + count - 1 > self._twice:
            return True
        rtt = self._retry.rtt
        return count > 0 and rtt is not None and now - self._twice_at > rtt / 2

    def _read_by(self, block_bytes: int) -> None:
        """Ask for whole blocks, so that no block has to be put together from two reads."""
        self._chunk = max(READ_AHEAD_BYTES // block_bytes, 1) * block_bytes
        self._enough = max(READ_AHEAD_BYTES // 2, block_bytes)
        self._several = max(_TOGETHER_BYTES // block_bytes, 1)

    def _time(self, block: int, now: float) -> None:
        self._timed, self._timed_at = block, now

    def _measure(self, now: float) -> None:
        if self._timed > self._twice:
            self._retry.measure(now - self._timed_at)
        self._timed = _NONE

    def _receive_other(self, datagram: bytes, now: float) -> list[Command]:
        try:
            packet = parse(datagram)
        except PacketError as error:
            return [Send(Error(TftpErrorCode.ILLEGAL_OPERATION, str(error)).encode())]
        return self._receive_packet(packet, now)

    def _receive_packet(self, packet: Packet, now: float) -> list[Command]:
        match packet:
            case Error(code, text):
                self._answered = True
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
        self._read_by(self.terms.blksize)
        self._retry.agree(self.terms.timeout, exact=self.terms.exact_timeout)
        return self._begin(now)

    def _begin(self, now: float) -> list[Command]:
        self._state = _State.SENDING
        self._answered = self._opening is not None
        self._measure(now)
        return self._fill(now)

    def _fill(self, now: float) -> list[Command]:
        """Send new blocks, as far as the window and the bytes at hand allow, and wait anew."""
        commands: list[Command] = []
        window, room = self._window, self.terms.windowsize
        while len(window) < room and (self._ready or self._make_ready()):
            packet = self._ready.popleft()
            window.append(packet)
            commands.append(Send(packet))
        if commands and self._timed <= self._twice:
            self._time(self._base + len(window) - 1, now)
        if len(window) < room and self._last is None:
            self._retry.stop()
        else:
            self._retry.sent(now)
        return commands

    def _make_ready(self) -> bool:
        """Make the next blocks after the window of the bytes at hand, and tell if there are any."""
        if self._last is not None:
            return False
        size = self.terms.blksize
        number = self._base + len(self._window)
        count = min(self._waiting_bytes // size, self._several)
        taken = count * size
        left = self._waiting_bytes - taken
        if left < size and self._ended:
            self._last, self._short = number + count, size - left
            count, taken = count + 1, taken + left
        self._waiting_bytes -= taken
        self._ready.extend(encode_blocks(number, self._take(taken), size, count))
        return count > 0

    def _take(self, size: int) -> memoryview | bytes:
        """Return the next bytes, which seldom lie in two pieces."""
        waiting = self._waiting
        if not size:
            return b""
        piece = waiting[0]
        if len(piece) > size:
            waiting[0] = piece[size:]
            return piece[:size]
        waiting.popleft()
        if len(piece) == size:
            return piece
        return b"".join((piece, self._take(size - len(piece))))

    def _finish(self, *commands: Finish) -> list[Command]:
        self._state = _State.DONE
        self._retry.stop()
        self._window.clear()
        self._ready.clear()
        self._waiting.clear()
        self._ended = True
        return list(commands)
