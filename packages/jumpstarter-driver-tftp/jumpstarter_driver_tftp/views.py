"""Which part of the root a client sees, by its address. Pure.

A client whose address is in a view sees the view's sub-directory as the root, and nothing else. Of
several networks that hold the address, the smallest counts.
"""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.names import path_below_root


class Views:
    """Finds the sub-directory of a client."""

    def __init__(self, views: Mapping[str, str]) -> None:
        """Take sub-directories by client address or network.

        Raises:
            ValueError: a key is no address or network, or a value no sub-directory.
        """
        networks = [(_network(client), _folder(folder)) for client, folder in views.items()]
        self._views = sorted(networks, key=lambda view: -view[0].prefixlen)

    def find(self, client: str) -> tuple[str, ...]:
        """Return the path of what a client sees; empty for the root itself."""
        if not self._views:
            return ()
        address = ip_address(client.partition("%")[0])
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        return next((folder for network, folder in self._views if address in network), ())


def _network(client: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(client)
    except ValueError as error:
        raise ValueError(f"view {client!r}: {error}") from None


def _folder(folder: str) -> tuple[str, ...]:
    try:
        return path_below_root(folder)
    except FileRefused:
        raise ValueError(f"view {folder!r} is not the name of a sub-directory") from None
