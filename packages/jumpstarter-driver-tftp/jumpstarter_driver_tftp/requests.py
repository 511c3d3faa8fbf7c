"""What becomes of a datagram that comes to the server's port. Pure: values in, values out.

An ERROR is never answered, so that two servers can never talk to each other for ever.
"""

from dataclasses import dataclass
from enum import Enum, auto

from jumpstarter_driver_tftp.errors import PacketError
from jumpstarter_driver_tftp.netascii import Codec, Encoder, Octet
from jumpstarter_driver_tftp.options import Offer, Terms, negotiate
from jumpstarter_driver_tftp.packet import Error, Oack, Opcode, Request, TftpErrorCode, parse
from jumpstarter_driver_tftp.transfer import Sender

DUPLICATE_SECONDS = 1.0
"""A request that comes again within this time is the network's doing, not the client's."""

_MODES = frozenset({"octet", "netascii"})


def judge(datagram: bytes) -> Request | Error | None:
    """Return the read request in a datagram, or the answer to what it is instead, if any."""
    try:
        packet = parse(datagram)
    except PacketError as error:
        return Error(TftpErrorCode.ILLEGAL_OPERATION, str(error))
    match packet:
        case Error():
            return None
        case Request(opcode=Opcode.WRQ):
            return Error(TftpErrorCode.ACCESS_VIOLATION, "Writing is not allowed")
        case Request(mode=mode) if mode not in _MODES:
            return Error(TftpErrorCode.ILLEGAL_OPERATION, "Unsupported transfer mode")
        case Request():
            return packet
        case _:
            return Error(TftpErrorCode.ILLEGAL_OPERATION, "Unsupported operation")


class Repeat(Enum):
    """What a further request from the same client port means for the transfer that it has."""

    IGNORE = auto()
    RESEND = auto()
    REPLACE = auto()


@dataclass(frozen=True, slots=True)
class Earlier:
    """The transfer that a client port has.

    Attributes:
        datagram: its request.
        began: when that came.
        heard: whether the client has answered since.
    """

    datagram: bytes
    began: float
    heard: bool


def judge_repeat(earlier: Earlier, datagram: bytes, now: float) -> Repeat:
    """Tell what a further request from the same port means.

    The same request again, before anything else was heard, says that our answer was lost, and that
    the client still waits for one from the port that it would then stay with.
    """
    if datagram != earlier.datagram:
        return Repeat.REPLACE
    if not earlier.heard:
        return Repeat.RESEND
    return Repeat.IGNORE if now - earlier.began < DUPLICATE_SECONDS else Repeat.REPLACE


def open_sender(request: Request, terms: Terms, size: int | None, tries: int) -> Sender:
    """Return the machine that answers a read request.

    Args:
        request: what the client asked for.
        terms: what holds where it asks for nothing.
        size: bytes in the file, if known.
        tries: how often a packet is sent before the client counts as silent.
    """
    netascii = request.mode == "netascii"
    # The size of a translated file is only known once it has been translated.
    agreed, answer = negotiate(request.options, Offer(terms, size=None if netascii else size))
    codec: Codec = Encoder() if netascii else Octet()
    opening = Oack(answer).encode() if answer else None
    return Sender(agreed, tries=tries, opening=opening, codec=codec)
