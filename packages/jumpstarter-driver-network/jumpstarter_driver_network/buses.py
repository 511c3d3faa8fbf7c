"""D-Bus addresses (D-Bus Specification, "Server Addresses"). Pure: the environment is passed in.

The kind of a bus travels in the driver's labels, so that a client knows which variable to set
without asking the exporter.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote_to_bytes

BusKind: TypeAlias = Literal["system", "session"]

KIND_LABEL: Final = "jumpstarter.dev/dbusnetwork/kind"
ENVIRONMENT: Final[Mapping[str, str]] = {
    "system": "DBUS_SYSTEM_BUS_ADDRESS",
    "session": "DBUS_SESSION_BUS_ADDRESS",
}

# The bytes that may stand in an address without being escaped.
_PLAIN = frozenset(string.ascii_letters + string.digits + "-_/.\\*")


@dataclass(frozen=True, kw_only=True)
class UnixBus:
    """A bus that listens on a Unix socket."""

    path: str


@dataclass(frozen=True, kw_only=True)
class TcpBus:
    """A bus that listens on a TCP port."""

    host: str
    port: int


def bus_address(kind: BusKind, environ: Mapping[str, str], uid: int) -> str:
    """Return the address of the bus of `kind` as a program run by user `uid` finds it."""
    default = {
        "system": "unix:path=/run/dbus/system_bus_socket",
        "session": f"unix:path=/run/user/{uid}/bus",
    }
    return environ.get(ENVIRONMENT[kind]) or default[kind]


def parse_bus_address(text: str) -> UnixBus | TcpBus:
    """Return the first usable alternative of a bus address.

    Usable are `unix:path=…` and `tcp:host=…,port=…`. Raises ValueError, saying what is wrong with
    the last alternative, when none is usable.
    """
    error = ValueError(f"D-Bus address {text!r} is empty: give unix:path=… or tcp:host=…,port=…")
    for alternative in filter(None, text.split(";")):
        try:
            return _parse_alternative(alternative)
        except ValueError as reason:
            error = reason
    raise error


def _parse_alternative(text: str) -> UnixBus | TcpBus:
    scheme, _, rest = text.partition(":")
    options = dict(_parse_option(item, text) for item in rest.split(",") if item)
    match scheme, options:
        case "unix", {"path": path}:
            return UnixBus(path=path)
        case "tcp", {"host": host, "port": port} if port.isascii() and port.isdigit():
            return TcpBus(host=host, port=int(port))
        case "unix", _:
            message = f"D-Bus address {text!r} has no path: give unix:path=…"
        case "tcp", _:
            message = f"D-Bus address {text!r} needs a host and a numeric port"
        case _:
            message = f"D-Bus address {text!r} is neither unix: nor tcp:"
    raise ValueError(message)


def _parse_option(item: str, text: str) -> tuple[str, str]:
    key, separator, value = item.partition("=")
    if not separator:
        message = f"D-Bus address {text!r}: {item!r} is not key=value"
        raise ValueError(message)
    return key, unquote_to_bytes(value).decode(errors="surrogateescape")


def format_tcp_bus(host: str, port: int) -> str:
    """Return the bus address of a TCP port, with the host escaped."""
    escaped = "".join(
        character if character in _PLAIN else "".join(f"%{byte:02x}" for byte in character.encode())
        for character in host
    )
    return f"tcp:host={escaped},port={port}"
