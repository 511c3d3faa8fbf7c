"""Addresses as they are typed, `host:port`, and as gRPC and people read them."""

from ipaddress import ip_address
from typing import NamedTuple

import click

_MAX_PORT = 65535


class Address(NamedTuple):
    """A TCP address; the host of an IPv6 one stands without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return the address as it is typed."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_address(text: str, option: str, *, default_host: str = "") -> Address:
    """Return the address that was typed for `option`: `host:port`, `[v6]:port`.

    With a default host the port alone is enough, and may be 0, which means a free one. Raises
    UsageError for text that is none of these.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    host = host if colon else default_host
    least = 0 if default_host else 1
    if not host or not port.isdecimal() or not least <= int(port) <= _MAX_PORT:
        form = "[HOST:]PORT" if default_host else "HOST:PORT"
        raise click.UsageError(
            f"{option}: '{text}' is no {form} with a port from {least} to {_MAX_PORT}"
        )
    return Address(host, int(port))
