"""Tables of addresses, written and read."""

import pytest

from jumpstarter_driver_network.addresses import (
    format_address,
    is_ipv4_address,
    is_ipv6_address,
    parse_address,
    strip_scheme,
)


@pytest.mark.parametrize(
    ("host", "version"),
    [
        ("127.0.0.1", 4),
        ("192.168.1.2", 4),
        ("::1", 6),
        ("2001:db8::1", 6),
        ("fe80::1%eth0", 6),
        ("localhost", 0),
        ("256.0.0.1", 0),
        ("[::1]", 0),
        ("", 0),
    ],
)
def test_kind_of_host(host: str, version: int) -> None:
    assert is_ipv4_address(host) is (version == 4)
    assert is_ipv6_address(host) is (version == 6)


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("127.0.0.1", 80, "127.0.0.1:80"),
        ("example.com", 8080, "example.com:8080"),
        ("::1", 22, "[::1]:22"),
        ("2001:db8::1", 443, "[2001:db8::1]:443"),
    ],
)
def test_format_address_brackets_ipv6_only(host: str, port: int, text: str) -> None:
    assert format_address(host, port) == text


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:80", "127.0.0.1", "80"),
        ("tcp://127.0.0.1:80", "127.0.0.1", "80"),
        ("udp://example.com:53", "example.com", "53"),
        ("http://example.com:8080", "example.com", "8080"),
        ("https://example.com:8443/path", "example.com", "8443"),
        ("tcp://[::1]:22", "::1", "22"),
        ("[2001:db8::1]:443", "2001:db8::1", "443"),
        ("2001:db8::1", "2001:db8::1", ""),
        ("example.com", "example.com", ""),
        ("ws://example.com/events", "example.com", "80"),
        ("wss://example.com/events", "example.com", "443"),
        ("https://example.com", "example.com", "443"),
    ],
)
def test_parse_address(text: str, host: str, port: str) -> None:
    assert parse_address(text) == (host, port)


def test_parse_address_refuses_a_port_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"[Pp]ort"):
        parse_address("tcp://127.0.0.1:70000")


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("tcp://127.0.0.1:80", "127.0.0.1:80"),
        ("tcp://[::1]:80", "[::1]:80"),
        ("ws://example.com/a?b=c://d", "example.com/a?b=c://d"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("[::1]:80", "[::1]:80"),
        ("://odd", "://odd"),
    ],
)
def test_strip_scheme(text: str, rest: str) -> None:
    assert strip_scheme(text) == rest
