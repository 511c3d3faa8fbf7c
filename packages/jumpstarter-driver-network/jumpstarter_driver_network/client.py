"""Clients of the network drivers. Importing this module imports no driver and no adapter."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Self

import click
from anyio import ContextManagerMixin
from jumpstarter.client import DriverClient
from jumpstarter.client.decorators import driver_click_group

from jumpstarter_driver_network import adapters, addresses, buses, commands

# The names by which packages of others know them.
_parse_address = addresses.parse_address
_strip_scheme = addresses.strip_scheme


class NetworkClient(DriverClient):
    """A network connection of the device; `stream()` and the adapters open it."""

    def address(self) -> str:
        """Return the address that the exporter connects to, with its scheme.

        Raises ValueError when the exporter's file disables that, NotImplementedError when the
        driver has no address.
        """
        return str(self.call("address"))

    def cli(self) -> click.Group:
        """Return the commands that forward local ports to the device."""

        @driver_click_group(self)
        def base() -> None:
            """Reach a network service of the device."""

        commands.add_forward_tcp(base, self)
        commands.add_forward_unix(base, self)
        commands.add_forward_udp(base, self)
        commands.add_address(base, self.address)
        return base


class DbusNetworkClient(NetworkClient, ContextManagerMixin):
    """A bus of the exporter's host; inside `with client:` local D-Bus programs use that bus."""

    @property
    def kind(self) -> str:
        """`system` or `session`."""
        return self.labels[buses.KIND_LABEL]

    @contextmanager
    def __contextmanager__(self) -> Generator[Self]:
        """Point this process's D-Bus programs to the bus, and back at the end."""
        with adapters.DbusAdapter(client=self):
            yield self
