"""Network addresses as text. Pure: nothing here asks a resolver or opens a socket.

An IPv6 host stands in brackets wherever a port follows it, and nowhere else.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": "80", "ws": "80", "https": "443", "wss": "443"}

# RFC 3986 section 3.1.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def is_ipv4_address(host: str) -> bool:
    """Return whether `host` is an IPv4 address, and not a name."""
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True


def is_ipv6_address(host: str) -> bool:
    """Return whether `host` is an IPv6 address without brackets, and not a name."""
    try:
        IPv6Address(host)
    except AddressValueError:
        return False
    return True


def format_address(host: str, port: int) -> str:
    """Return `host:port`, with an IPv6 host in brackets."""
    return f"[{host}]:{port}" if is_ipv6_address(host) else f"{host}:{port}"


def strip_scheme(text: str) -> str:
    """Return `text` without its leading `scheme://`, or unchanged when it has none."""
    return _SCHEME.sub("", text, count=1) if _SCHEME.match(text) else text


def parse_address(text: str) -> tuple[str, str]:
    """Return the host, without brackets, and the port named by an address or a URL.

    The port is that of the scheme when only the scheme says it, and empty when nothing does.
    Raises ValueError when the port is not a number up to 65535.
    """
    match = _SCHEME.match(text)
    rest = strip_scheme(text)
    if is_ipv6_address(rest):
        return rest, ""
    parts = urlsplit(f"//{rest}")
    default = DEFAULT_PORTS.get(match[1].lower(), "") if match else ""
    return parts.hostname or "", default if parts.port is None else str(parts.port)
