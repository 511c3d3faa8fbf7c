"""Drivers that reach the device over a network: each `connect` opens one connection of its own.

Nothing is opened at construction, so that an exporter starts while its device is off.
"""

import os
import socket
from abc import ABCMeta, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, ClassVar

from anyio import create_memory_object_stream
from anyio.streams.stapled import StapledObjectStream
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.streams.forwarding import AnyByteStream
from jumpstarter.streams.sockets import connect_tcp, connect_udp, connect_unix
from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from jumpstarter_driver_network import addresses, buses, streams
from jumpstarter_driver_network.vsock import connect_vsock

# The names by which packages of others know them.
_is_ipv4_address = addresses.is_ipv4_address
_is_ipv6_address = addresses.is_ipv6_address
_format_address = addresses.format_address

# How many items an echo holds before `send` waits.
ECHO_BUFFER = 32

# A misspelt key in an exporter's file is an error, not a default.
_STRICT = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

Port = Annotated[int, Field(ge=1, le=65535)]
PathText = Annotated[str, BeforeValidator(os.fspath)]
Uint32 = Annotated[int, Field(ge=0, le=0xFFFFFFFF)]


def _resolve_hostname(host: str) -> str:
    """Return the first address of `host`; `host` itself when it is one, or has none."""
    if addresses.is_ipv4_address(host) or addresses.is_ipv6_address(host):
        return host
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return host
    return str(found[0][4][0])


def _address(driver: "TcpNetwork | UdpNetwork", scheme: str) -> str:
    _require_address(enabled=driver.enable_address)
    return f"{scheme}://{addresses.format_address(_resolve_hostname(driver.host), driver.port)}"


def _require_address(*, enabled: bool) -> None:
    if not enabled:
        message = "the address is not given out: set enable_address: true in the exporter's file"
        raise ValueError(message)


class NetworkInterface(metaclass=ABCMeta):
    """What every driver of this package offers: a stream named `connect`."""

    driver_type: ClassVar[str] = "network"

    @classmethod
    def client(cls) -> str:
        """Return the path of the client class."""
        return "jumpstarter_driver_network.client.NetworkClient"

    @abstractmethod
    def connect(self) -> AbstractAsyncContextManager[AnyByteStream]:
        """Open a connection to the device, closed at the end of the context."""


@dataclass(kw_only=True, config=_STRICT)
class TcpNetwork(NetworkInterface, Driver):
    """A TCP port of the device: `connect` opens one connection per stream."""

    host: str
    """Name or address of the device, as the exporter's host knows it."""

    port: Port
    """The TCP port, 1 to 65535."""

    enable_address: bool = True
    """Whether clients may read the address."""

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[AnyByteStream]:
        """Connect to the port. Raises OSError, naming the target, when it does not accept."""
        async with await connect_tcp(self.host, self.port) as stream:
            yield stream

    @export
    def address(self) -> str:
        """Return `tcp://host:port` with the name resolved. ValueError when that is disabled."""
        return _address(self, "tcp")


@dataclass(kw_only=True, config=_STRICT)
class UdpNetwork(NetworkInterface, Driver):
    """A UDP port of the device: each send is one datagram, and so is each receive."""

    host: str
    """Name or address of the device, as the exporter's host knows it."""

    port: Port
    """The UDP port, 1 to 65535."""

    enable_address: bool = True
    """Whether clients may read the address."""

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[AnyByteStream]:
        """Open a socket connected to the port. Raises OSError when the host is not known."""
        async with await connect_udp(self.host, self.port) as stream:
            yield stream

    @export
    def address(self) -> str:
        """Return `udp://host:port` with the name resolved. ValueError when that is disabled."""
        return _address(self, "udp")


@dataclass(kw_only=True, config=_STRICT)
class UnixNetwork(NetworkInterface, Driver):
    """A Unix stream socket on the exporter's host."""

    path: PathText
    """Path of the socket."""

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[AnyByteStream]:
        """Connect to the socket. Raises OSError, naming the path, when nobody listens."""
        async with await connect_unix(self.path) as stream:
            yield stream


@dataclass(kw_only=True, config=_STRICT)
class VsockNetwork(NetworkInterface, Driver):
    """A vsock port of a virtual machine on the exporter's host."""

    cid: Uint32
    """Context identifier of the virtual machine."""

    port: Uint32
    """The vsock port."""

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[AnyByteStream]:
        """Connect to the port. Raises OSError, naming the target, when it does not accept."""
        async with await connect_vsock(self.cid, self.port) as stream:
            yield stream


@dataclass(kw_only=True, config=_STRICT)
class DbusNetwork(NetworkInterface, Driver):
    """A D-Bus bus of the exporter's host; its address is read once, at construction."""

    KIND_LABEL: ClassVar[str] = buses.KIND_LABEL

    kind: buses.BusKind
    """Which bus: system or session."""

    def __post_init__(self) -> None:
        """Find the bus. Raises ValueError when its address cannot be used."""
        super().__post_init__()
        address = buses.bus_address(self.kind, os.environ, os.getuid())
        self._bus = buses.parse_bus_address(address)

    @classmethod
    def client(cls) -> str:
        """Return the path of the client class."""
        return "jumpstarter_driver_network.client.DbusNetworkClient"

    def extra_labels(self) -> dict[str, str]:
        """Tell the client which bus this is."""
        return {buses.KIND_LABEL: self.kind}

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[AnyByteStream]:
        """Connect to the bus. Raises OSError, naming its socket, when nobody listens."""
        match self._bus:
            case buses.UnixBus(path=path):
                opening = connect_unix(path)
            case buses.TcpBus(host=host, port=port):
                opening = connect_tcp(host, port)
        async with await opening as stream:
            yield stream


@dataclass(kw_only=True, config=_STRICT)
class EchoNetwork(NetworkInterface, Driver):
    """Sends back what it receives; needs no device."""

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[AnyByteStream]:
        """Open an echo; its end of input is echoed too."""
        send, receive = create_memory_object_stream[bytes](ECHO_BUFFER)
        async with StapledObjectStream(send, receive) as stream:
            yield stream


@dataclass(kw_only=True, config=_STRICT)
class WebsocketNetwork(NetworkInterface, Driver):
    """A WebSocket server of the device: each send is one binary message. Needs an extra."""

    url: str
    """URL of the server, ws:// or wss://."""

    enable_address: bool = True
    """Whether clients may read the URL."""

    def __post_init__(self) -> None:
        """Raise MissingExtraError when the WebSocket library is not installed."""
        super().__post_init__()
        self._open = streams.connect_websocket

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[AnyByteStream]:
        """Connect to the server. Raises OSError, naming the URL, when it does not accept."""
        async with self._open(self.url) as stream:
            yield stream

    @export
    def address(self) -> str:
        """Return the URL. Raises ValueError when that is disabled."""
        _require_address(enabled=self.enable_address)
        return self.url
