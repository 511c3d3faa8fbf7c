"""Addresses as `host:port`, with an IPv6 host in brackets."""

from jumpstarter.model.errors import ConfigurationError
from jumpstarter.rpc.channels import split_target


def split_address(address: str) -> tuple[str, int]:
    """Return host and port; port 0 lets the system choose one.

    Raises ConfigurationError for text that is no such address.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the largest port
        raise ConfigurationError(f"{address!r} is not an address; write it as host:port")
    if int(port) == 0:
        return split_target(f"{host}:1")[0], 0
    return split_target(address)


def join_address(host: str, port: int) -> str:
    """Return the address of `port` on `host`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
