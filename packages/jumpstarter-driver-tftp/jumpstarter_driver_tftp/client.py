"""The client of the TFTP driver: starts and stops it, and reaches its files as `storage`."""

from dataclasses import dataclass
from typing import cast

import click
from jumpstarter_driver_composite.client import CompositeClient
from jumpstarter_driver_opendal.client import OpendalClient


@dataclass(kw_only=True)
class TftpServerClient(CompositeClient):
    """Controls a TFTP server; its files are the child `storage`."""

    @property
    def storage(self) -> OpendalClient:
        """The files that are served."""
        return cast("OpendalClient", self.children["storage"])

    def start(self) -> None:
        """Start to serve; returns when requests are answered.

        Raises DriverError when the port cannot be had; the text says why and what to do.
        """
        self.call("start")

    def stop(self) -> None:
        """Stop to serve."""
        self.call("stop")

    def get_host(self) -> str:
        """Return the address that devices ask."""
        return str(self.call("get_host"))

    def get_port(self) -> int:
        """Return the port that devices ask; while the server is stopped, the configured one."""
        return int(self.call("get_port"))

    def cli(self) -> click.Group:
        """Return the commands of the storage, and start, stop, get-host and get-port."""
        base = super().cli()
        base.help = self.description or "Serve files to devices that boot from the network"
        for command in (_start(self), _stop(self), _get_host(self), _get_port(self)):
            base.add_command(command)
        return base


def _start(client: TftpServerClient) -> click.Command:
    @click.command()
    def start() -> None:
        """Start to serve, and print the URL of the root"""
        client.start()
        host = client.get_host()
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"tftp://{shown}:{client.get_port()}/")

    return start


def _stop(client: TftpServerClient) -> click.Command:
    @click.command()
    def stop() -> None:
        """Stop to serve"""
        client.stop()

    return stop


def _get_host(client: TftpServerClient) -> click.Command:
    @click.command("get-host")
    def get_host() -> None:
        """Print the address that devices ask"""
        click.echo(client.get_host())

    return get_host


def _get_port(client: TftpServerClient) -> click.Command:
    @click.command("get-port")
    def get_port() -> None:
        """Print the port that devices ask"""
        click.echo(client.get_port())

    return get_port
