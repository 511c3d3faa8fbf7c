"""The packets of TFTP, to and from bytes: RFC 1350 §5 and RFC 2347.

Nothing here knows a transfer. `parse` accepts whatever a network can deliver: it returns a packet
or raises `PacketError`, and nothing else. Names and texts are UTF-8; bytes that are not survive
as surrogate escapes, so that a file with such a name can still be asked for.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from jumpstarter_driver_tftp.errors import PacketError

HEADER_BYTES = 4
"""What precedes the data of a DATA packet: opcode and block number."""

MAX_BLOCK_BYTES = 65464
"""The largest blksize of RFC 2348: an IPv4 datagram less its headers and options."""

MAX_DATAGRAM_BYTES = 65535
"""No UDP datagram is larger."""


class Opcode(IntEnum):
    """The first two bytes of every packet."""

    RRQ = 1
    WRQ = 2
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


class TftpErrorCode(IntEnum):
    """What an ERROR packet may say."""

    NOT_DEFINED = 0
    FILE_NOT_FOUND = 1
    ACCESS_VIOLATION = 2
    DISK_FULL = 3
    ILLEGAL_OPERATION = 4
    UNKNOWN_TID = 5
    FILE_EXISTS = 6
    NO_SUCH_USER = 7
    OPTION_REFUSED = 8


@dataclass(frozen=True, slots=True)
class Request:
    """A read or write request.

             2 bytes   string  1 byte  string  1 byte   (option, value)*
            +--------+--------+------+--------+------+--------+---+-------+---+
            | opcode |  name  |   0  |  mode  |   0  | option | 0 | value | 0 |
            +--------+--------+------+--------+------+--------+---+-------+---+

    `mode` is in lower case. `options` keeps the order, the case and the duplicates of the wire.
    """

    opcode: Opcode
    name: str
    mode: str
    options: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """Return the datagram."""
        return self.opcode.to_bytes(2, "big") + _strings((self.name, self.mode), *self.options)


@dataclass(frozen=True, slots=True)
class Data:
    """One block of a file; one that is shorter than the block size ends it.

     2 bytes   2 bytes   n bytes
    +--------+---------+------+
    |   3    | block # | data |
    +--------+---------+------+
    """

    block: int
    data: bytes

    def encode(self) -> bytes:
        """Return the datagram; the block number wraps at 65535."""
        return encode_data(self.block, self.data)


@dataclass(frozen=True, slots=True)
class Ack:
    """Everything up to and including a block has arrived.

     2 bytes   2 bytes
    +--------+---------+
    |   4    | block # |
    +--------+---------+
    """

    block: int

    def encode(self) -> bytes:
        """Return the datagram; the block number wraps at 65535."""
        return encode_ack(self.block)


@dataclass(frozen=True, slots=True)
class Error:
    """The end of a transfer, and why. Never answered, never repeated.

     2 bytes   2 bytes    string  1 byte
    +--------+-----------+------+---+
    |   5    | errorcode | text | 0 |
    +--------+-----------+------+---+
    """

    code: int
    text: str

    def encode(self) -> bytes:
        """Return the datagram."""
        head = Opcode.ERROR.to_bytes(2, "big") + self.code.to_bytes(2, "big")
        return head + _strings((self.text,))


@dataclass(frozen=True, slots=True)
class Oack:
    """The options that the server took, with the values that now hold.

     2 bytes  (option, value)*
    +--------+--------+---+-------+---+
    |   6    | option | 0 | value | 0 |
    +--------+--------+---+-------+---+
    """

    options: tuple[tuple[str, str], ...]

    def encode(self) -> bytes:
        """Return the datagram."""
        return Opcode.OACK.to_bytes(2, "big") + _strings(*self.options)


Packet = Request | Data | Ack | Error | Oack

_DATA = int(Opcode.DATA)
_ACK = int(Opcode.ACK)
_HEADER = struct.Struct(">HH")


def encode_data(block: int, data: bytes | memoryview) -> bytes:
    """Return the DATA datagram of a block; its number wraps at 65535."""
    return _HEADER.pack(_DATA, block & 0xFFFF) + data


def encode_blocks(first: int, data: bytes | memoryview, size: int, count: int) -> list[bytes]:
    """Return the DATA datagrams of `count` blocks in a row; what is missing is so at the end."""
    return [
        _HEADER.pack(_DATA, (first + index) & 0xFFFF) + data[index * size : (index + 1) * size]
        for index in range(count)
    ]


def encode_ack(block: int) -> bytes:
    """Return the ACK datagram of a block; its number wraps at 65535."""
    return _HEADER.pack(_ACK, block & 0xFFFF)


def acknowledged(datagram: bytes) -> int | None:
    """Return the block number when `datagram` is an ACK: the short way on a sender's hot path.

    More bytes than the four are tolerated: some boot loaders send a whole buffer.
    """
    if len(datagram) < HEADER_BYTES:
        return None
    opcode, block = _HEADER.unpack_from(datagram)
    return block if opcode == _ACK else None


def is_error(datagram: bytes) -> bool:
    """Tell whether `datagram` is an ERROR, however badly formed: such a one is never answered."""
    return datagram[:2] == b"\0\5"


def parse(datagram: bytes) -> Packet:
    """Return the packet in `datagram`.

    Raises:
        PacketError: it is not one; the text is fit for the ERROR packet that answers it.
    """
    if is_error(datagram):
        return _parse_error(datagram)
    if len(datagram) < HEADER_BYTES:
        raise PacketError("Malformed packet")
    opcode = int.from_bytes(datagram[:2], "big")
    match opcode:
        case Opcode.RRQ:
            return _parse_request(Opcode.RRQ, datagram[2:])
        case Opcode.WRQ:
            return _parse_request(Opcode.WRQ, datagram[2:])
        case Opcode.DATA:
            return Data(int.from_bytes(datagram[2:4], "big"), datagram[4:])
        case Opcode.ACK:
            return Ack(int.from_bytes(datagram[2:4], "big"))
        case Opcode.OACK:
            return Oack(_pairs(_text(datagram[2:]).split("\0")))
        case _:
            raise PacketError("Unknown opcode")


def _parse_request(opcode: Opcode, body: bytes) -> Request:
    name, *rest = _text(body).split("\0")
    if len(rest) < 2:  # noqa: PLR2004 - the mode, and what follows its end
        raise PacketError("Malformed packet")
    mode, *options = rest
    return Request(opcode, name, mode.lower(), _pairs(options))


def _parse_error(datagram: bytes) -> Error:
    # The sender has given up in any case, so whatever can be read of its reason is taken.
    text, _, _ = datagram[4:].partition(b"\0")
    return Error(int.from_bytes(datagram[2:4], "big"), _text(text))


def _pairs(fields: list[str]) -> tuple[tuple[str, str], ...]:
    """Pair options, behind which is a last NUL; padding and one that is cut short are left out."""
    pairs = zip(fields[:-1:2], fields[1:-1:2], strict=False)
    return tuple([pair for pair in pairs if pair[0]])


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _strings(*groups: tuple[str, ...]) -> bytes:
    return b"".join(
        text.encode("utf-8", "surrogateescape") + b"\0" for group in groups for text in group
    )
