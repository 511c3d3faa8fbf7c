"""The other side of a server: asks for a file, or gives it one. Blocking, for one transfer at a
time.

It runs the same machines as the server. Both functions are generators: a transfer goes on as long
as somebody asks for the next piece, and closing the generator ends it.
"""

import socket
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from jumpstarter_driver_tftp.errors import TransferError
from jumpstarter_driver_tftp.netascii import Codec, Decoder, Encoder, Octet
from jumpstarter_driver_tftp.options import Pairs, Terms
from jumpstarter_driver_tftp.packet import (
    MAX_DATAGRAM_BYTES,
    Error,
    Opcode,
    Request,
    TftpErrorCode,
    is_error,
)
from jumpstarter_driver_tftp.transfer import (
    Command,
    Finish,
    Outcome,
    Receiver,
    Send,
    Sender,
    Write,
)

PORT = 69
TRIES = 6
TIMEOUT_SECONDS = 1.0
"""How long to wait for an answer at most, when the server is not told a time."""

_WINDOW_BUFFER_BYTES = 4 << 20
_TELL_REFUSAL = {
    socket.AF_INET: (socket.IPPROTO_IP, 11),  # IP_RECVERR
    socket.AF_INET6: (socket.IPPROTO_IPV6, 25),  # IPV6_RECVERR
}
_UNKNOWN_TID = Error(TftpErrorCode.UNKNOWN_TID, "Unknown transfer ID").encode()

_Address = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Location:
    """A file on a server."""

    host: str
    port: int
    name: str

    def __str__(self) -> str:
        """Return the URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tftp://{host}:{self.port}/{self.name}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a client asks for beside the file. None leaves an option out of the request."""

    mode: str = "octet"
    blksize: int | None = None
    windowsize: int | None = None
    timeout: int | None = None
    tsize: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """The next bytes of a file, and how many there will be if the server said so."""

    data: bytes
    total: int | None


def parse_url(url: str) -> Location:
    """Return what `tftp://host[:port]/name` means.

    Raises:
        ValueError: it is something else; the text says what.
    """
    parts = urlsplit(url)
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme != "tftp" or not parts.hostname or not name:
        raise ValueError(f"{url!r} is not of the form tftp://HOST[:PORT]/NAME")
    return Location(parts.hostname, parts.port or PORT, name)


def get(location: Location, wishes: Wishes) -> Generator[Piece]:
    """Read a file from a server, piece by piece.

    Raises:
        TransferError: the server refused, fell silent or cannot be reached.
    """
    asked = _options(wishes, 0)
    request = Request(Opcode.RRQ, location.name, wishes.mode, asked).encode()
    codec: Codec = Decoder() if wishes.mode == "netascii" else Octet()
    machine = Receiver(_terms(wishes), tries=TRIES, opening=request, asked=asked, codec=codec)
    with _line(location, machine) as line:
        for commands in line.converse(machine):
            for command in commands:
                match command:
                    case Write(data):
                        yield Piece(data, machine.terms.tsize)
                    case Send(datagram):
                        line.send(datagram)
                    case Finish():
                        _check(location, command)


def put(location: Location, wishes: Wishes, file: BinaryIO, size: int | None) -> Generator[int]:
    """Write a file to a server; gives the number of bytes that have arrived, as it grows.

    Args:
        location: what the file is called there.
        wishes: what to ask for.
        file: where the bytes come from.
        size: how many there are, or None when the server is not to be told.

    Raises:
        TransferError: the server refused, fell silent or cannot be reached.
    """
    asked = _options(wishes, size)
    request = Request(Opcode.WRQ, location.name, wishes.mode, asked).encode()
    codec: Codec = Encoder() if wishes.mode == "netascii" else Octet()
    machine = Sender(_terms(wishes), tries=TRIES, opening=request, asked=asked, codec=codec)
    with _line(location, machine) as line:
        for commands in line.converse(machine):
            for command in [*commands, *_feed(machine, file)]:
                match command:
                    case Send(datagram):
                        line.send(datagram)
                    case Finish():
                        _check(location, command)
                    case Write():
                        raise AssertionError("a sender writes nothing")
            yield machine.done


def _feed(machine: Sender, file: BinaryIO) -> list[Command]:
    commands: list[Command] = []
    while wanted := machine.wanted():
        chunk = file.read(wanted)
        commands += machine.supply(chunk, time.monotonic(), last=not chunk)
    return commands


def _check(location: Location, finish: Finish) -> None:
    match finish.outcome:
        case Outcome.COMPLETE:
            return
        case Outcome.REFUSED | Outcome.FAILED:
            raise TransferError(f"{location}: {finish.text} (TFTP error {finish.code})")
        case _:
            raise TransferError(f"{location}: {finish.text}; is a TFTP server running there?")


def _terms(wishes: Wishes) -> Terms:
    if wishes.timeout is None:
        return Terms(timeout=TIMEOUT_SECONDS)
    return Terms(timeout=float(wishes.timeout), exact_timeout=True)


def _options(wishes: Wishes, size: int | None) -> Pairs:
    values = {
        "blksize": wishes.blksize,
        "windowsize": wishes.windowsize,
        "timeout": wishes.timeout,
        "tsize": size if wishes.tsize else None,
    }
    return tuple((name, str(value)) for name, value in values.items() if value is not None)


@contextmanager
def _line(location: Location, machine: Sender | Receiver) -> Generator["_Line"]:
    try:
        found = socket.getaddrinfo(location.host, location.port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise TransferError(f"{location}: {location.host}: {error.strerror}") from error
    family, *_, address = found[0]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW_BUFFER_BYTES)
        if sys.platform == "linux":
            # Otherwise nobody tells that the server's port is closed.
            sock.setsockopt(*_TELL_REFUSAL[family], 1)
        line = _Line(sock, location, address)
        try:
            yield line
        finally:
            line.give_up(machine)


class _Line:
    """A socket that keeps to the port that the server answers from."""

    def __init__(self, sock: socket.socket, location: Location, server: _Address) -> None:
        self._socket = sock
        self._location = location
        self._server = server
        self._peer: _Address | None = None

    def converse(self, machine: Sender | Receiver) -> Generator[list[Command]]:
        """Yield what `machine` wants done, again and again, until it has finished."""
        yield machine.start(time.monotonic())
        while (deadline := machine.deadline()) is not None:
            datagram = self._receive(deadline - time.monotonic())
            now = time.monotonic()
            if datagram is None:
                yield machine.timeout(now)
            else:
                yield machine.receive(datagram, now)

    def send(self, datagram: bytes) -> None:
        """Send to the server's transfer port, or to its own before there is one."""
        try:
            self._socket.sendto(datagram, self._peer or self._server)
        except OSError as error:
            raise TransferError(f"{self._location}: {error.strerror}") from error

    def give_up(self, machine: Sender | Receiver) -> None:
        """Tell the server that a transfer ends here, unless it has ended already."""
        for command in machine.abort(TftpErrorCode.NOT_DEFINED, "Client gave up"):
            if isinstance(command, Send) and self._peer is not None:
                self.send(command.datagram)

    def _receive(self, seconds: float) -> bytes | None:
        """Return the server's next datagram; None when none has come in time."""
        self._socket.settimeout(max(seconds, 0.001))
        try:
            datagram, source = self._socket.recvfrom(MAX_DATAGRAM_BYTES)
        except TimeoutError:
            return None
        except ConnectionRefusedError as error:
            if self._peer is not None:
                return None  # about the port of somebody else, or the timer will tell
            raise TransferError(f"{self._location}: nothing listens on this port") from error
        if self._peer is None and source[0] == self._server[0]:
            self._peer = source
        if source == self._peer:
            return datagram
        if not is_error(datagram):
            self._socket.sendto(_UNKNOWN_TID, source)
        return None
