"""Streams over raw sockets: a call goes straight to the kernel and waits only when it must.

No transport stands between: what `receive` returns left the kernel in that moment, so nothing is
read ahead of its reader and a slow reader slows its peer down. A stream that never has to wait
still lets the loop run now and then.
"""

import errno
import socket
import struct
from collections.abc import Sequence
from os import PathLike, fspath, strerror
from typing import TypeAlias

import aiohappyeyeballs
import anyio
from anyio.abc import ConnectedUDPSocket, ObjectStream
from anyio.abc import SocketStream as AnyioSocketStream

from .duplex import CHUNK_SIZE, MAX_DATAGRAM, Duplex

MAX_PORT = 65_535

HAPPY_EYEBALLS_DELAY = 0.25
"""Seconds until the next address of a name is tried beside the last one (RFC 8305, section 5)."""

_AddressInfo: TypeAlias = tuple[int, int, int, str, tuple[str | int | bytes, ...]]

_INTERNET = (socket.AF_INET, socket.AF_INET6)
_CONNECTED = (0, errno.EISCONN)
_LINGER_ZERO = struct.pack("ii", 1, 0)


class SocketStream(AnyioSocketStream):
    """A byte stream over a connected stream socket, which it owns from then on."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over `sock`; a TCP socket is told to send small writes at once."""
        if sock.family in _INTERNET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._io = Duplex(sock)
        self._sent_eof = False

    @property
    def _raw_socket(self) -> socket.socket:
        return self._io.sock

    async def receive(self, max_bytes: int = CHUNK_SIZE) -> bytes:
        """Return what has arrived, at most `max_bytes` bytes, waiting only while nothing has.

        Raises EndOfStream after the peer's end of file, BrokenResourceError when the connection
        was reset, ClosedResourceError when this stream is closed.
        """
        if max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        data = await self._io.receive(min(max_bytes, CHUNK_SIZE), self._io.read_chunk)
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        """Hand all bytes of `item` to the kernel, waiting while its buffer is full.

        Raises BrokenResourceError when the peer is gone, ClosedResourceError after `send_eof` or
        when this stream is closed.
        """
        if self._sent_eof:
            raise anyio.ClosedResourceError
        await self._io.send_all(item)

    async def send_eof(self) -> None:
        """Tell the peer that no more bytes follow; receiving goes on. Idempotent.

        Raises BrokenResourceError when the peer is gone already.
        """
        self._io.check_open()
        if self._sent_eof:
            return
        self._sent_eof = True
        try:
            self._io.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise anyio.BrokenResourceError from error

    async def aclose(self) -> None:
        """Close; the kernel still delivers what was sent. Waiting tasks get ClosedResourceError."""
        self._io.close()

    async def reset(self) -> None:
        """Close abruptly: a TCP peer sees a reset, never an end of file. Idempotent."""
        if self._io.sock.fileno() != -1:
            reset_when_closed(self._io.sock)
        self._io.close()


class DatagramStream(ConnectedUDPSocket, ObjectStream[bytes]):
    """Datagrams to and from one peer, over a connected datagram socket, which it owns.

    One `send` is one datagram and one `receive` returns one, an empty one included.
    """

    def __init__(self, sock: socket.socket) -> None:
        """Take over `sock`."""
        self._io = Duplex(sock)

    @property
    def _raw_socket(self) -> socket.socket:
        return self._io.sock

    async def receive(self) -> bytes:
        """Return the next datagram.

        Raises BrokenResourceError when the peer's host refused an earlier one, and may be called
        again then; ClosedResourceError when this stream is closed.
        """
        return await self._io.receive(MAX_DATAGRAM, self._io.sock.recv)

    async def receive_many(self) -> Sequence[bytes]:
        """Return the next datagram and those that are already there; raises as `receive` does."""
        items = [await self.receive()]
        self._io.drain(items)
        return items

    async def send(self, item: bytes) -> None:
        """Send `item` as one datagram.

        Raises BrokenResourceError when the peer's host refused an earlier one, OSError (EMSGSIZE)
        when `item` is larger than the protocol carries, ClosedResourceError when closed.
        """
        await self._io.send_once(item)

    async def send_eof(self) -> None:
        """Do nothing: datagrams have no end of file to send."""
        self._io.check_open()

    async def aclose(self) -> None:
        """Close; waiting tasks get ClosedResourceError."""
        self._io.close()


async def connect_tcp(host: str, port: int) -> SocketStream:
    """Connect to a TCP service; a name's addresses are raced (RFC 8305).

    Raises a subclass of OSError, as the kernel or the resolver would, that names `tcp://host:port`.
    """
    target = format_endpoint("tcp", host, port)
    infos = await _resolve(host, port, socket.SOCK_STREAM, target)
    if len(infos) == 1:
        return SocketStream(await _connect_address(infos[0], target))
    try:
        sock = await aiohappyeyeballs.start_connection(  # pyright: ignore[reportUnknownMemberType] - its address type is a bare tuple
            infos, happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY
        )
    except OSError as error:
        raise _cannot_connect(target, error) from error
    return SocketStream(sock)


async def connect_unix(path: str | PathLike[str]) -> SocketStream:
    """Connect to the Unix stream socket at `path`; raises a subclass of OSError naming it."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    return SocketStream(await connect_socket(sock, fspath(path), f"unix:{fspath(path)}"))


async def connect_udp(host: str, port: int) -> DatagramStream:
    """Open a UDP socket connected to the first address of `host`.

    Nothing is sent. Raises a subclass of OSError that names `udp://host:port`.
    """
    target = format_endpoint("udp", host, port)
    infos = await _resolve(host, port, socket.SOCK_DGRAM, target)
    return DatagramStream(await _connect_address(infos[0], target))


async def connect_socket(sock: socket.socket, address: object, target: str) -> socket.socket:
    """Connect `sock` to the numeric `address` without blocking the loop and return it.

    On any failure the socket is closed. Raises a subclass of OSError that names `target`.
    """
    sock.settimeout(0)
    try:
        await _connect(sock, address)
    except OSError as error:
        sock.close()
        raise _cannot_connect(target, error) from error
    except BaseException:
        sock.close()
        raise
    return sock


def format_endpoint(scheme: str, host: str, port: int) -> str:
    """Return `scheme://host:port`, an IPv6 address in brackets."""
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def check_port(port: int) -> None:
    """Raise OSError (EINVAL) unless `port` is one: the resolver would take it modulo 65536."""
    if not 0 <= port <= MAX_PORT:
        raise OSError(errno.EINVAL, f"a port is 0 to {MAX_PORT}")


def reset_when_closed(sock: socket.socket) -> None:
    """Let closing `sock` be a reset to its TCP peer; other kinds of socket cannot say that."""
    if sock.family in _INTERNET and sock.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)


async def _resolve(
    host: str, port: int, kind: socket.SocketKind, target: str
) -> Sequence[_AddressInfo]:
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        check_port(port)
        return socket.getaddrinfo(host, port, type=kind, flags=numeric)
    except (socket.gaierror, UnicodeError):
        # Not an address: a name, for which the resolver may block and so gets a thread.
        pass
    except OSError as error:
        raise _cannot_connect(target, error) from error
    try:
        return await anyio.getaddrinfo(host, port, type=kind)
    except (OSError, UnicodeError) as error:
        raise _cannot_connect(target, error) from error


async def _connect_address(info: _AddressInfo, target: str) -> socket.socket:
    family, kind, protocol, _, address = info
    return await connect_socket(socket.socket(family, kind, protocol), address, target)


async def _connect(sock: socket.socket, address: object) -> None:
    pause = 0.001
    while True:
        error = sock.connect_ex(address)  # pyright: ignore[reportArgumentType] - typeshed's address type is private
        if error != errno.EAGAIN:
            break
        # A Unix listener's backlog is full, and the kernel has no way to say when it drains.
        await anyio.sleep(pause)
        pause = min(2 * pause, 0.1)
    if error == errno.EINPROGRESS:
        # On this host the handshake is over by now; asking costs less than waiting.
        error = sock.connect_ex(address)  # pyright: ignore[reportArgumentType] - as above
    if error == errno.EALREADY:
        await anyio.wait_writable(sock)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error not in _CONNECTED:
        raise OSError(error, strerror(error))


def _cannot_connect(target: str, error: OSError | UnicodeError) -> OSError:
    if isinstance(error, UnicodeError):
        return socket.gaierror(socket.EAI_NONAME, f"cannot connect to {target}: not a host name")
    if error.errno is None:
        return OSError(f"cannot connect to {target}: {error}")
    text = f"cannot connect to {target}: {error.strerror}"
    if isinstance(error, socket.gaierror):
        return socket.gaierror(error.errno, text)
    return OSError(error.errno, text)
