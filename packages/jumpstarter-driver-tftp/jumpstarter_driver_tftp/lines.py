"""How the datagrams of one transfer travel: over a port of its own, or over the one that requests
come to.

A socket that is full is waited for, and what is to be sent meanwhile waits in order.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from jumpstarter_driver_tftp.bursts import Burst
from jumpstarter_driver_tftp.packet import MAX_DATAGRAM_BYTES, Error, TftpErrorCode, is_error
from jumpstarter_driver_tftp.readiness import Readiness
from jumpstarter_driver_tftp.sockets import (
    MAX_REQUEST_BYTES,
    Arrival,
    Channel,
    Listener,
    SockAddr,
)

UNKNOWN_TID = Error(TftpErrorCode.UNKNOWN_TID, "Unknown transfer ID").encode()
"""The answer to a packet that belongs to no transfer."""

_CAUGHT_UP = 100
"""How many datagrams are handed over at once at most."""


class Ear(Protocol):
    """Whoever a line's datagrams are for."""

    def take(self, datagram: bytes) -> None:
        """Take a datagram from the client."""
        ...

    def refused(self) -> None:
        """Learn that the client has closed its port."""
        ...


class Line(Protocol):
    """The way to one client, for one transfer; open as long as its context lasts."""

    def __enter__(self) -> Self:
        """Return this."""
        ...

    def __exit__(self, *_: object) -> None:
        """Close it."""
        ...

    def close(self) -> None:
        """Close it."""
        ...

    def attach(self, ear: Ear, largest: int) -> None:
        """Hand what comes to `ear` until `detach`, cut to `largest` bytes."""
        ...

    def detach(self) -> None:
        """Hand nothing to anybody any more."""
        ...

    def send(self, datagrams: Sequence[bytes]) -> None:
        """Send to the client, now or when there is room. To be used while an ear is attached."""
        ...

    def send_one(self, datagram: bytes) -> None:
        """Send a single datagram, as `send` does."""
        ...

    def catch_up(self) -> None:
        """Hand over now what has come already."""
        ...


class OwnPort:
    """A line over a port that belongs to the transfer, so that the kernel tells clients apart."""

    def __init__(self, channel: Channel, readiness: Readiness) -> None:
        """Take over the sockets of a port, which `readiness` watches."""
        self._channel = channel
        self._readiness = readiness
        self._socket = channel.connected
        self._strays = channel.strays
        self._numbers = channel.connected.fileno(), channel.strays.fileno()
        self._loop = asyncio.get_running_loop()
        self._burst: Burst | None = None
        self._unsent: deque[bytes] = deque()
        self._ear: Ear | None = None
        self._largest = 0

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the port."""
        self.close()

    def close(self) -> None:
        """Close the port."""
        self._channel.close()

    def attach(self, ear: Ear, largest: int) -> None:
        """Hand what the client sends to `ear`; others who send here are told that they err."""
        self._ear, self._largest = ear, largest
        self._readiness.add(self._numbers[0], self._on_readable)
        self._readiness.add(self._numbers[1], self._on_stray)

    def detach(self) -> None:
        """Hand nothing to anybody any more."""
        self._ear = None
        if self._unsent:
            self._loop.remove_writer(self._numbers[0])
        for number in self._numbers:
            self._readiness.remove(number)

    def send(self, datagrams: Sequence[bytes]) -> None:
        """Send to the client, now or when there is room."""
        waiting = bool(self._unsent)
        self._unsent += datagrams
        if not waiting and not self._send_unsent():
            self._loop.add_writer(self._numbers[0], self._on_writable)

    def send_one(self, datagram: bytes) -> None:
        """Send one datagram to the client, now or when there is room: the short way."""
        if self._unsent:
            self._unsent.append(datagram)
            return
        try:
            self._socket.send(datagram)
        except BlockingIOError:
            self._unsent.append(datagram)
            self._loop.add_writer(self._numbers[0], self._on_writable)
        except OSError as error:
            self._lost(error)

    def catch_up(self) -> None:
        """Hand over now what has come already."""
        for _ in range(_CAUGHT_UP):
            if not self._on_readable():
                return

    def _on_writable(self) -> None:
        if self._send_unsent():
            self._loop.remove_writer(self._numbers[0])

    def _send_unsent(self) -> bool:
        """Send what waits, and tell whether all is gone."""
        if self._burst is None:
            self._burst = Burst(self._socket)
        while self._unsent:
            try:
                self._burst.send(self._unsent)
            except BlockingIOError:
                return False
            except OSError as error:
                self._unsent.popleft()
                self._lost(error)
        return True

    def _on_readable(self) -> bool:
        """Hand over a datagram, and tell whether there was any."""
        ear = self._ear
        if ear is None:
            return False
        try:
            datagram = self._socket.recv(self._largest)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._lost(error)
            return False
        ear.take(datagram)
        return True

    def _on_stray(self) -> None:
        try:
            datagram, source = self._strays.recvfrom(MAX_DATAGRAM_BYTES)
            if not is_error(datagram):
                self._strays.sendto(UNKNOWN_TID, source)
        except OSError:
            return  # whoever it was is none of this transfer's business

    def _lost(self, error: OSError) -> None:
        # All but this may pass: a link is down, a router wants smaller packets. The timer decides.
        if isinstance(error, ConnectionRefusedError) and self._ear is not None:
            self._ear.refused()


class SharedPort:
    """The port that requests come to, used for the transfers as well.

    Clients are told apart by their addresses. Whoever reads the port hands over what is no request.
    """

    def __init__(self, listener: Listener) -> None:
        """Use the socket of a listener."""
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._unsent: deque[tuple[Arrival, bytes]] = deque()
        self._ears: dict[SockAddr, Ear] = {}

    def hand_over(self, arrival: Arrival) -> bool:
        """Give a datagram to the transfer that it belongs to, and tell whether there is one."""
        ear = self._ears.get(arrival.peer)
        if ear is None:
            return False
        ear.take(arrival.datagram)
        return True

    def attach(self, peer: SockAddr, ear: Ear) -> None:
        """Give what `peer` sends to `ear`, until `detach`, or until another takes its place."""
        self._ears[peer] = ear

    def detach(self, peer: SockAddr, ear: Ear) -> None:
        """Give `ear` nothing any more."""
        if self._ears.get(peer) is ear:
            del self._ears[peer]

    def send(self, arrival: Arrival, datagram: bytes) -> None:
        """Send to whoever sent `arrival`, now or when there is room."""
        if self._unsent:
            self._unsent.append((arrival, datagram))
            return
        try:
            self._listener.send(arrival, datagram)
        except BlockingIOError:
            self._unsent.append((arrival, datagram))
            self._loop.add_writer(self._listener.socket, self._on_writable)
        except OSError:
            return  # it may pass: the timer decides

    def _on_writable(self) -> None:
        waiting, self._unsent = self._unsent, deque()
        self._loop.remove_writer(self._listener.socket)
        for arrival, datagram in waiting:
            self.send(arrival, datagram)


class SharedLine:
    """A line over a port that all transfers share."""

    def __init__(self, port: SharedPort, arrival: Arrival) -> None:
        """Lead to whoever sent `arrival`."""
        self._port = port
        self._arrival = arrival
        self._ear: Ear | None = None

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the port as it is: it belongs to all."""

    def close(self) -> None:
        """Leave the port as it is: it belongs to all."""

    def attach(self, ear: Ear, largest: int) -> None:  # noqa: ARG002 - a shared port takes whatever comes
        """Hand what the client sends to `ear`, unless it is a request."""
        self._ear = ear
        self._port.attach(self._arrival.peer, ear)

    def detach(self) -> None:
        """Hand nothing to anybody any more."""
        if self._ear is not None:
            self._port.detach(self._arrival.peer, self._ear)

    def send(self, datagrams: Sequence[bytes]) -> None:
        """Send to the client, now or when there is room."""
        for datagram in datagrams:
            self._port.send(self._arrival, datagram)

    def send_one(self, datagram: bytes) -> None:
        """Send a single datagram, as `send` does."""
        self._port.send(self._arrival, datagram)

    def catch_up(self) -> None:
        """Do nothing: what comes to one port is handed over in order."""


@dataclass(frozen=True, slots=True)
class Port:
    """The port that is listened on, from which lines lead to clients.

    Attributes:
        listener: its socket.
        readiness: watches the ports of transfers.
        shared: carries all transfers, if they have no ports of their own.
        largest: how long a datagram can be that comes there.
    """

    listener: Listener
    readiness: Readiness
    shared: SharedPort | None
    largest: int

    def line(self, arrival: Arrival, room: int = 0) -> Line:
        """Open a line to a client, with room for `room` bytes that come while nobody looks.

        Raises:
            OSError: the system has no port or no descriptor left, or cannot reach the client.
        """
        if self.shared is not None:
            return SharedLine(self.shared, arrival)
        return OwnPort(self.listener.channel(arrival, room), self.readiness)


def port_of(listener: Listener, readiness: Readiness, *, shared: bool, blocks_come: bool) -> Port:
    """Return the port of a listener.

    Args:
        listener: its socket.
        readiness: watches the ports of transfers.
        shared: whether it carries all transfers.
        blocks_come: whether clients send blocks, and not only requests and ACKs.
    """
    largest = MAX_DATAGRAM_BYTES if shared and blocks_come else MAX_REQUEST_BYTES
    return Port(listener, readiness, SharedPort(listener) if shared else None, largest)
