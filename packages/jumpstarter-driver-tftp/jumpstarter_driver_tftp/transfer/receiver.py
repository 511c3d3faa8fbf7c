"""The side of a transfer that takes the file: the client of a read, the server of a write.

The rules, beyond RFC 1350:

* A block is written once, in order. One that was written before is acknowledged again when it is
  the latest, since then our ACK was lost; inside a window only once, so that a window which was
  sent twice is not answered by a third.
* In a window (RFC 7440) a gap is reported once, by acknowledging what came before it; the sender
  starts a new window there. That goes for a window's first block too, and for the very first.
* The side that sends the last ACK cannot know that it arrived. It may linger, and repeat it.
* The round trip is measured from an ACK that was sent once to the block that it asks for.
"""

from enum import Enum, auto

from jumpstarter_driver_tftp.errors import OptionError, PacketError
from jumpstarter_driver_tftp.netascii import Codec, Octet
from jumpstarter_driver_tftp.options import Pairs, Terms, accept, too_large
from jumpstarter_driver_tftp.packet import (
    Data,
    Error,
    Oack,
    Packet,
    TftpErrorCode,
    encode_ack,
    parse,
)
from jumpstarter_driver_tftp.transfer.commands import Command, Finish, Outcome, Send, Write, fail
from jumpstarter_driver_tftp.transfer.retry import Retry

_BEHIND_BY_ONE = 0xFFFF


class _State(Enum):
    OPENING = auto()
    RECEIVING = auto()
    LINGERING = auto()
    DONE = auto()


class Receiver:
    """Takes one file.

    Attributes:
        terms: what was agreed; a client's may change with the first answer.
        resent: how often a packet was sent once more.
        done: bytes of the file that have come, as they travelled.
    """

    def __init__(  # noqa: PLR0913 - all but the first are given by name
        self,
        terms: Terms,
        *,
        tries: int,
        opening: bytes,
        asked: Pairs | None = None,
        codec: Codec | None = None,
        linger: float = 0.0,
        max_bytes: int | None = None,
    ) -> None:
        """Prepare a transfer.

        Args:
            terms: what holds, or for a client what holds until the server answers.
            tries: how often a packet is sent before the far side counts as silent; what is
                counted is in `Retry`.
            opening: what DATA 1 answers: a client's request, or a server's OACK or ACK 0.
            asked: the options in a client's request; None on a server, which takes no OACK.
            codec: turns the bytes that travelled into the file's.
            linger: seconds for which the last ACK is repeated on demand.
            max_bytes: how large the file may become; one that is larger ends with ERROR 3.
        """
        self.terms = terms
        self.resent = 0
        self.done = 0
        self._opening = opening
        self._asked = asked
        self._codec: Codec = codec or Octet()
        self._retry = Retry(terms.timeout, tries, exact=terms.exact_timeout)
        self._linger = linger
        self._max_bytes = max_bytes
        self._written = 0
        self._state = _State.OPENING
        self._next = 1  # the number of the block that is waited for
        self._in_window = 0  # blocks since the last ACK
        self._answered = 0  # the `_next` for which a repeated block or a gap was answered
        self._heard = False
        self._timed_at: float | None = None  # when the block that is waited for was asked for

    @property
    def acknowledged_blocks(self) -> int:
        """How many blocks have come, in order."""
        return self._next - 1

    @property
    def heard(self) -> bool:
        """Whether the far side has answered."""
        return self._heard

    @property
    def rtt(self) -> float | None:
        """The smoothed round trip in seconds, or None before the first was measured."""
        return self._retry.rtt

    def start(self, now: float) -> list[Command]:
        """Return the first packet."""
        self._retry.sent(now)
        self._timed_at = now
        return [Send(self._opening)]

    def receive(self, datagram: bytes, now: float) -> list[Command]:
        """Take a datagram from the far side."""
        if self._state is _State.DONE:
            return []
        try:
            packet = parse(datagram)
        except PacketError as error:
            return [Send(Error(TftpErrorCode.ILLEGAL_OPERATION, str(error)).encode())]
        return self._receive_packet(packet, now)

    def deadline(self) -> float | None:
        """Return when to call `timeout`, or None when nothing is waited for."""
        return self._retry.due

    def timeout(self, now: float) -> list[Command]:
        """Ask again for what did not come, or give up."""
        if not self._retry.is_due(now):
            return []
        if self._state is _State.LINGERING:
            return self._finish(Finish(Outcome.COMPLETE))
        if not self._retry.again(now, heard=self.heard):
            return self._finish(Finish(Outcome.TIMED_OUT, text="no answer"))
        return self.repeat() if self._state is _State.OPENING else [self._ack_again()]

    def repeat(self) -> list[Command]:
        """Return the first packet once more: the far side shows that it did not get it."""
        if self._state is not _State.OPENING:
            return []
        self.resent += 1
        self._timed_at = None
        return [Send(self._opening)]

    def abort(self, code: int, text: str) -> list[Command]:
        """End the transfer from this side."""
        if self._state is _State.DONE:
            return []
        self._finish()
        return fail(code, text)

    def _receive_packet(self, packet: Packet, now: float) -> list[Command]:
        match packet:
            case Data(block, payload):
                return self._receive_data(block, payload, now)
            case Error(code, text):
                return self._receive_error(code, text)
            case Oack(options) if self._asked is not None:
                return self._receive_oack(self._asked, options, now)
            case _:
                unexpected = Error(TftpErrorCode.ILLEGAL_OPERATION, "Unexpected opcode")
                return [Send(unexpected.encode())]

    def _receive_error(self, code: int, text: str) -> list[Command]:
        self._heard = True
        if self._state is _State.LINGERING:
            return self._finish(Finish(Outcome.COMPLETE))
        return self._finish(Finish(Outcome.REFUSED, code, text))

    def _receive_oack(self, asked: Pairs, options: Pairs, now: float) -> list[Command]:
        if self._state is _State.OPENING:
            try:
                self.terms = accept(asked, options, self.terms)
            except OptionError as error:
                return self.abort(TftpErrorCode.OPTION_REFUSED, str(error))
            self._retry.agree(self.terms.timeout, exact=self.terms.exact_timeout)
            self._advance(now)
            return [self._ack(now)]
        if self._state is _State.RECEIVING and self._next == 1:
            return [self._ack_again()]  # our ACK 0 was lost
        return []

    def _receive_data(self, block: int, payload: bytes, now: float) -> list[Command]:
        ahead = (block - self._next) & 0xFFFF
        if ahead or self._state is _State.LINGERING:
            return self._out_of_order(ahead)
        if len(payload) > self.terms.blksize:
            return self.abort(TftpErrorCode.ILLEGAL_OPERATION, "block larger than agreed")
        last = len(payload) < self.terms.blksize
        content = self._codec.feed(payload) + (self._codec.end() if last else b"")
        self._written += len(content)
        if self._max_bytes is not None and self._written > self._max_bytes:
            refusal = too_large(self._max_bytes)
            return self.abort(refusal.code, refusal.text)
        self._advance(now)
        self._next += 1
        self._in_window += 1
        self.done += len(payload)
        write = Write(content, last=last)
        if last:
            return [write, self._ack(now), *self._complete(now)]
        if self._in_window < self.terms.windowsize:
            return [write]
        return [write, self._ack(now)]

    def _advance(self, now: float) -> None:
        """Note that what was waited for has come."""
        self._state = _State.RECEIVING
        self._heard = True
        if self._timed_at is not None:
            self._retry.measure(now - self._timed_at)
            self._timed_at = None
        self._retry.sent(now)

    def _out_of_order(self, ahead: int) -> list[Command]:
        latest_again = ahead == _BEHIND_BY_ONE
        if self._state is _State.OPENING and (latest_again or self._asked is not None):
            return []  # a block of some transfer before this one
        windowed = self.terms.windowsize > 1 and self._state is not _State.LINGERING
        gap = ahead < self.terms.windowsize
        if not (latest_again or gap) or (windowed and self._answered == self._next):
            return []
        self._answered = self._next
        return [self._ack_again()]

    def _complete(self, now: float) -> list[Command]:
        if not self._linger:
            return self._finish(Finish(Outcome.COMPLETE))
        self._state = _State.LINGERING
        self._retry.due = now + self._linger
        return []

    def _ack(self, now: float) -> Send:
        self._in_window = 0
        self._timed_at = now
        return Send(encode_ack(self._next - 1))

    def _ack_again(self) -> Send:
        self.resent += 1
        self._in_window = 0
        self._timed_at = None
        return Send(encode_ack(self._next - 1))

    def _finish(self, *commands: Finish) -> list[Command]:
        self._state = _State.DONE
        self._retry.stop()
        return list(commands)
