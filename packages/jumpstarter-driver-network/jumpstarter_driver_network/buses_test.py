"""Tables of D-Bus addresses."""

import pytest

from jumpstarter_driver_network.buses import (
    BusKind,
    TcpBus,
    UnixBus,
    bus_address,
    format_tcp_bus,
    parse_bus_address,
)


@pytest.mark.parametrize(
    ("kind", "environ", "address"),
    [
        ("system", {}, "unix:path=/run/dbus/system_bus_socket"),
        ("session", {}, "unix:path=/run/user/1000/bus"),
        ("system", {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/x"}, "unix:path=/x"),
        ("session", {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/y"}, "unix:path=/y"),
        ("session", {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/x"}, "unix:path=/run/user/1000/bus"),
        ("system", {"DBUS_SYSTEM_BUS_ADDRESS": ""}, "unix:path=/run/dbus/system_bus_socket"),
    ],
)
def test_bus_address(kind: BusKind, environ: dict[str, str], address: str) -> None:
    assert bus_address(kind, environ, 1000) == address


@pytest.mark.parametrize(
    ("text", "bus"),
    [
        ("unix:path=/run/bus", UnixBus(path="/run/bus")),
        ("unix:path=/run/bus,guid=0123", UnixBus(path="/run/bus")),
        ("unix:path=/run/a%20b", UnixBus(path="/run/a b")),
        ("tcp:host=localhost,port=1234", TcpBus(host="localhost", port=1234)),
        ("tcp:host=%3a%3a1,port=1234,family=ipv6", TcpBus(host="::1", port=1234)),
        ("unix:abstract=x;unix:path=/run/bus", UnixBus(path="/run/bus")),
        ("unix:path=/run/bus;", UnixBus(path="/run/bus")),
    ],
)
def test_parse_bus_address(text: str, bus: UnixBus | TcpBus) -> None:
    assert parse_bus_address(text) == bus


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("unix:", "no path"),
        ("unix:abstract=x", "no path"),
        ("unix:path", "not key=value"),
        ("tcp:host=localhost", "numeric port"),
        ("tcp:host=localhost,port=http", "numeric port"),
        ("nonce-tcp:host=localhost,port=1", "neither unix: nor tcp:"),
        ("/run/bus", "neither unix: nor tcp:"),
    ],
)
def test_unusable_bus_address_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_bus_address(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "exporter-1.example.com"])
def test_formatted_tcp_bus_is_read_back(host: str) -> None:
    assert parse_bus_address(format_tcp_bus(host, 1234)) == TcpBus(host=host, port=1234)
