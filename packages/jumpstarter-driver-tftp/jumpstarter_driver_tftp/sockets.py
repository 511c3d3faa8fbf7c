"""The UDP sockets of a server: one that requests come to, and a pair for each transfer.

An answer leaves from the address that was asked, also where the socket listens on all of them. A
transfer has a port of its own, with two sockets on it: one connected to the client, which gets
all that the client sends, and one that gets what anybody else sends there and so never disturbs
it.
"""

import ipaddress
import socket
import struct
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self

from anyio import getaddrinfo

SockAddr = tuple[str, int] | tuple[str, int, int, int]

MAX_REQUEST_BYTES = 4096
"""A request that is longer is cut, and so malformed. RFC 2347 has them end at 512."""

_DEFAULT_ROOM_BYTES = 64 * 1024
"""What every system lets wait at a socket; it may count more for a datagram than its bytes."""

_LISTENER_ROOM_BYTES = 4 << 20
"""What should be able to wait at the port that requests come to: some thousand requests."""

_NONBLOCK = getattr(socket, "SOCK_NONBLOCK", 0)
"""Saves a call of the system for each socket."""

_DATAGRAMS = int(socket.SOCK_DGRAM) | _NONBLOCK

_IP_PKTINFO = 8 if sys.platform == "linux" else 26
_PKTINFO4 = struct.Struct("@i4s4s")
_PKTINFO6 = struct.Struct("@16si")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_PKTINFO6.size) + socket.CMSG_SPACE(_PKTINFO4.size)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A datagram, who sent it, and which of our addresses it came to."""

    datagram: bytes
    peer: SockAddr
    local: SockAddr


@dataclass(frozen=True, slots=True)
class Channel:
    """The two sockets of a transfer's port. A context manager that closes them."""

    connected: socket.SocketType
    strays: socket.SocketType

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the sockets."""
        self.close()

    def close(self) -> None:
        """Close the sockets."""
        self.connected.close()
        self.strays.close()


class Listener:
    """The socket that requests come to. It never blocks."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a bound socket."""
        self.socket = sock
        self._family = int(sock.family)
        self._bound: SockAddr = sock.getsockname()
        self._everywhere = _is_wildcard(self._bound)

    @property
    def address(self) -> tuple[str, int]:
        """The address and port that requests come to."""
        return self._bound[0], self._bound[1]

    def receive(self, largest: int = MAX_REQUEST_BYTES) -> Arrival | None:
        """Return the next datagram, cut to `largest` bytes, or None when there is none now."""
        try:
            if not self._everywhere:
                datagram, peer = self.socket.recvfrom(largest)
                return Arrival(datagram, peer, self._bound)
            datagram, ancillary, _, peer = self.socket.recvmsg(largest, _ANCILLARY_BYTES)
        except (BlockingIOError, InterruptedError, ConnectionError):
            return None  # a ConnectionError only tells that an earlier answer met a closed port
        return Arrival(datagram, peer, self._local(ancillary))

    def reply(self, arrival: Arrival, datagram: bytes) -> None:
        """Answer from the port that was asked. What cannot be sent is dropped, as a network may."""
        with suppress(OSError):
            self.send(arrival, datagram)

    def send(self, arrival: Arrival, datagram: bytes) -> None:
        """Send to whoever sent `arrival`, from the address that was asked.

        Raises:
            BlockingIOError: there is no room now.
            OSError: it cannot be sent.
        """
        self.socket.sendmsg([datagram], self._from(arrival.local), 0, arrival.peer)

    def channel(self, arrival: Arrival, room: int = 0) -> Channel:
        """Open a port for a transfer with whoever sent `arrival`.

        `room` is how many bytes should be able to wait there to be received, if that is more than
        the system's default.

        Raises:
            OSError: the system has no port or no descriptor left, or cannot reach the client.
        """
        strays = self._new_socket()
        connected = strays
        try:
            connected = self._new_socket()
            if room > _DEFAULT_ROOM_BYTES:
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            # Shared only while the second socket binds: no other process can join the port.
            strays.bind((arrival.local[0], 0, *arrival.local[2:]))
            strays.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            connected.bind(strays.getsockname())
            connected.connect(arrival.peer)
            strays.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
        except BaseException:
            connected.close()
            strays.close()
            raise
        return Channel(connected, strays)

    def _new_socket(self) -> socket.SocketType:
        # The plain type: what `socket.socket` adds to it costs as much as what is done with it.
        sock = socket.SocketType(self._family, _DATAGRAMS)
        if not _NONBLOCK:
            sock.settimeout(0)
        return sock

    def _local(self, ancillary: list[tuple[int, int, bytes]]) -> SockAddr:
        for level, kind, data in ancillary:
            if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
                _, local, _ = _PKTINFO4.unpack_from(data)
                return socket.inet_ntop(socket.AF_INET, local), self._bound[1]
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                local, interface = _PKTINFO6.unpack_from(data)
                text = socket.inet_ntop(socket.AF_INET6, local)
                scope = interface if ipaddress.IPv6Address(text).is_link_local else 0
                return text, self._bound[1], 0, scope
        return self._bound

    def _from(self, local: SockAddr) -> list[tuple[int, int, bytes]]:
        if not self._everywhere or _is_wildcard(local):
            return []
        if self._family == socket.AF_INET6:
            data = _PKTINFO6.pack(socket.inet_pton(socket.AF_INET6, local[0]), 0)
            return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, data)]
        data = _PKTINFO4.pack(0, socket.inet_aton(local[0]), bytes(4))
        return [(socket.IPPROTO_IP, _IP_PKTINFO, data)]


@contextmanager
def listen(sockaddr: SockAddr) -> Generator[Listener]:
    """Bind a socket; `::` takes IPv4 as well.

    Raises:
        OSError: the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in sockaddr[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LISTENER_ROOM_BYTES)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not _is_wildcard(sockaddr))
        if _is_wildcard(sockaddr):
            _tell_local_address(sock)
        sock.bind(sockaddr)
        yield Listener(sock)


async def resolve(host: str, port: int) -> SockAddr:
    """Return the address that `host` means; an empty one means all of IPv4.

    Raises:
        OSError: there is no such host.
    """
    found = await getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_DGRAM)  # noqa: S104 - all
    return found[0][4]


def _tell_local_address(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def _is_wildcard(address: SockAddr) -> bool:
    return ipaddress.ip_address(address[0].partition("%")[0]).is_unspecified
