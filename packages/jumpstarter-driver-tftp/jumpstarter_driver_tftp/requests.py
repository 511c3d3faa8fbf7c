"""What becomes of a datagram that comes to the server's port. Pure: values in, values out.

An ERROR is never answered, so that two servers can never talk to each other for ever.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto

from jumpstarter_driver_tftp.errors import FileRefused, PacketError
from jumpstarter_driver_tftp.netascii import Codec, Decoder, Encoder, Octet
from jumpstarter_driver_tftp.options import Offer, Pairs, announced_size, negotiate, too_large
from jumpstarter_driver_tftp.packet import Ack, Error, Oack, Opcode, Request, TftpErrorCode, parse
from jumpstarter_driver_tftp.transfer import Receiver, Sender

DUPLICATE_SECONDS = 1.0
"""A request that comes again within this time is the network's doing, not the client's."""

MAX_LINGER_SECONDS = 60.0
"""For how long the last ACK of an upload is repeated on demand, however slow the client is."""

_REQUESTS = frozenset({b"\0\1", b"\0\2"})
_MODES = frozenset({"octet", "netascii"})


def is_request(datagram: bytes) -> bool:
    """Tell whether a datagram begins a transfer, if it is well formed."""
    return datagram[:2] in _REQUESTS


def judge(datagram: bytes, *, writable: bool = False) -> Request | Error | None:
    """Return the request in a datagram, or the answer to what it is instead, if any.

    `writable` tells whether write requests are welcome.
    """
    try:
        packet = parse(datagram)
    except PacketError as error:
        return Error(TftpErrorCode.ILLEGAL_OPERATION, str(error))
    match packet:
        case Error():
            return None
        case Request(opcode=Opcode.WRQ) if not writable:
            return Error(TftpErrorCode.ACCESS_VIOLATION, "Writing is not allowed")
        case Request(mode=mode) if mode not in _MODES:
            return Error(TftpErrorCode.ILLEGAL_OPERATION, "Unsupported transfer mode")
        case Request():
            return packet
        case _:
            return Error(TftpErrorCode.ILLEGAL_OPERATION, "Unsupported operation")


def requested(datagram: bytes) -> Request | None:
    """Return the request in a datagram, whatever becomes of it."""
    try:
        packet = parse(datagram)
    except PacketError:
        return None
    return packet if isinstance(packet, Request) else None


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


def open_sender(request: Request, offer: Offer, tries: int) -> tuple[Sender, Pairs]:
    """Return the machine that answers a read request, and the options that it grants.

    Args:
        request: what the client asked for.
        offer: what the server grants, with the size of the file if that is known.
        tries: how often a packet is sent before the client counts as silent.
    """
    netascii = request.mode == "netascii"
    if netascii:
        # The size of a translated file is only known once it has been translated.
        offer = replace(offer, size=None)
    agreed, granted = negotiate(request.options, offer)
    codec: Codec = Encoder() if netascii else Octet()
    opening = Oack(granted).encode() if granted else None
    return Sender(agreed, tries=tries, opening=opening, codec=codec), granted


def open_receiver(
    request: Request, offer: Offer, tries: int, max_bytes: int
) -> tuple[Receiver, Pairs]:
    """Return the machine that answers a write request, and the options that it grants.

    Args:
        request: what the client wants to write.
        offer: what the server grants; the size that the client announces is always granted.
        tries: how often a packet is sent before the client counts as silent.
        max_bytes: how large the file may be.

    Raises:
        FileRefused: the client announces a larger one.
    """
    size = announced_size(request.options)
    # Text may shrink on its way out of netascii, so only what is written tells its size.
    if size is not None and size > max_bytes and request.mode == "octet":
        refusal = too_large(max_bytes)
        raise FileRefused(refusal.code, refusal.text)
    agreed, granted = negotiate(request.options, replace(offer, size=size))
    codec: Codec = Decoder() if request.mode == "netascii" else Octet()
    opening = Oack(granted) if granted else Ack(0)
    # The client asks again after its own timeout, which is about ours or as it said.
    linger = min(2 * agreed.timeout, MAX_LINGER_SECONDS)
    machine = Receiver(
        agreed,
        tries=tries,
        opening=opening.encode(),
        codec=codec,
        linger=linger,
        max_bytes=max_bytes,
    )
    return machine, granted
