"""The commands of a network client. Adapters are imported by the command that runs one."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import click
from jumpstarter.client import DriverClient
from jumpstarter.client.decorators import DriverClickGroup

from jumpstarter_driver_network import adapters
from jumpstarter_driver_network.addresses import format_address, parse_address, strip_scheme

PORT = click.IntRange(0, 65535)

ADDRESS_DISABLED = (
    "enable_address mode is not true in the exporter configuration: "
    "set `enable_address: true` for this driver and restart the exporter"
)
ADDRESS_MISSING = (
    "this driver has no address; if it is a TCP, UDP or WebSocket driver, "
    "update the exporter to release 0.7.1 or later"
)


def add_forward_tcp(group: DriverClickGroup, client: DriverClient) -> None:
    """Add `forward-tcp` to `group`."""

    @group.command("forward-tcp")
    @click.option("--address", default="localhost", show_default=True, help="Listen here.")
    @click.argument("port", type=PORT, default=0)
    def forward_tcp(address: str, port: int) -> None:
        """Forward a local TCP port to the device.

        Without PORT, or with 0, any free one. Prints the address, and ends when interrupted.
        """
        with (
            _one_line(),
            adapters.TcpPortforwardAdapter(
                client=client, local_host=address, local_port=port
            ) as local,
        ):
            _announce(format_address(local[0], local[1]))


def add_forward_udp(group: DriverClickGroup, client: DriverClient) -> None:
    """Add `forward-udp` to `group`."""

    @group.command("forward-udp")
    @click.option("--address", default="localhost", show_default=True, help="Listen here.")
    @click.argument("port", type=PORT, default=0)
    def forward_udp(address: str, port: int) -> None:
        """Forward a local UDP port to the device.

        Without PORT, or with 0, any free one. Prints the address, and ends when interrupted.
        """
        with (
            _one_line(),
            adapters.UdpPortforwardAdapter(
                client=client, local_host=address, local_port=port
            ) as local,
        ):
            _announce(format_address(local[0], local[1]))


def add_forward_unix(group: DriverClickGroup, client: DriverClient) -> None:
    """Add `forward-unix` to `group`."""

    @group.command("forward-unix")
    @click.argument("path", required=False)
    def forward_unix(path: str | None) -> None:
        """Forward a local Unix socket to the device.

        Without PATH a temporary one. Prints the path, and ends when interrupted.
        """
        with (
            _one_line(),
            adapters.UnixPortforwardAdapter(client=client, path=path) as local,
        ):
            _announce(str(local))


def add_address(group: DriverClickGroup, read_address: Callable[[], str]) -> None:
    """Add `address` to `group`; `read_address` asks the driver."""

    @group.command("address")
    @click.option("--host", is_flag=True, help="Print the host only.")
    @click.option("--port", is_flag=True, help="Print the port only.")
    def address(host: bool, port: bool) -> None:  # noqa: FBT001 - click passes flags so
        """Print the address of the service."""
        try:
            text = read_address()
        except ValueError as error:
            raise click.ClickException(ADDRESS_DISABLED) from error
        except NotImplementedError as error:
            raise click.ClickException(ADDRESS_MISSING) from error
        click.echo(select_part(text, host=host, port=port))


def select_part(text: str, *, host: bool, port: bool) -> str:
    """Return the host or the port of an address; all but its scheme for both or neither."""
    if host == port:
        return strip_scheme(text)
    return parse_address(text)[0 if host else 1]


@contextmanager
def _one_line() -> Generator[None]:
    """Show the user why the listener cannot be had; the error names its address."""
    try:
        yield
    except OSError as error:
        raise click.ClickException(error.strerror or str(error)) from error


def _announce(address: str) -> None:
    """Print `address`, and wait until the user interrupts."""
    click.echo(address)
    threading.Event().wait()
