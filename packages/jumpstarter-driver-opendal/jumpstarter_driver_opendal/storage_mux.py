"""Clients of a storage that is connected to the host, to the device, or to neither."""

from collections.abc import Callable, Mapping
from typing import Any

import click
from jumpstarter.client import DriverClient
from jumpstarter.client.decorators import driver_click_group
from jumpstarter.common.exceptions import ArgumentError
from jumpstarter.streams.encoding import Compression
from opendal import Operator

from .adapter import lend
from .common import PathBuf
from .flashers import FlasherClient
from .sources import source_of, target_of


class StorageMuxClient(DriverClient):
    """Moves a storage between host and device, and reads and writes it on the host's side."""

    def host(self) -> Any:  # noqa: ANN401 - what the driver returns
        """Connect the storage to the host."""
        return self.call("host")

    def dut(self) -> Any:  # noqa: ANN401 - what the driver returns
        """Connect the storage to the device under test."""
        return self.call("dut")

    def off(self) -> Any:  # noqa: ANN401 - what the driver returns
        """Disconnect the storage from both."""
        return self.call("off")

    def write(self, handle: object) -> Any:  # noqa: ANN401 - what the driver returns
        """Write the bytes of the resource `handle` to the storage."""
        return self.call("write", handle)

    def read(self, handle: object) -> Any:  # noqa: ANN401 - what the driver returns
        """Write the content of the storage to the resource `handle`."""
        return self.call("read", handle)

    def write_file(self, operator: Operator, path: PathBuf) -> Any:  # noqa: ANN401 - what the driver returns
        """Write the file `path` of the service `operator` to the storage."""
        with lend(self, source_of(path, operator)) as handle:
            return self.write(handle)

    def read_file(self, operator: Operator, path: PathBuf) -> Any:  # noqa: ANN401 - what the driver returns
        """Make the file `path` of the service `operator` of the storage's content."""
        with lend(self, target_of(path, operator)) as handle:
            return self.read(handle)

    def write_local_file(self, filepath: PathBuf) -> Any:  # noqa: ANN401 - what the driver returns
        """Write the local file `filepath` to the storage."""
        source = target_of(filepath, None)
        return self.write_file(source.operator, source.path)

    def read_local_file(self, filepath: PathBuf) -> Any:  # noqa: ANN401 - what the driver returns
        """Make the local file `filepath` of the storage's content."""
        target = target_of(filepath, None)
        return self.read_file(target.operator, target.path)

    def cli(self, base: click.Group | None = None) -> click.Group:
        """Return the storage's commands, added to the group `base` where one is given."""
        group = _empty_group(self) if base is None else base
        for name, action, text in (
            ("host", self.host, "Connect the storage to the host"),
            ("dut", self.dut, "Connect the storage to the device under test"),
            ("off", self.off, "Disconnect the storage"),
        ):
            group.add_command(_action_command(name, action, text))
        group.add_command(_write_command(self))
        return group


class StorageMuxFlasherClient(FlasherClient, StorageMuxClient):
    """Flashes a storage: connects it to the host, writes it, and hands it to the device."""

    def flash(
        self,
        path: PathBuf | Mapping[str, PathBuf],
        *,
        target: str | None = None,
        operator: Operator | Mapping[str, Operator] | None = None,
        compression: Compression | None = None,
    ) -> Any:  # noqa: ANN401 - what the driver returns
        """Write one image to the storage; the device gets it back even if that fails.

        Raises ArgumentError for a target or several images: the storage is one.
        """
        _refuse_target("flash", target)
        if isinstance(path, Mapping) or isinstance(operator, Mapping):
            message = "flash: the storage takes one image; give one path and one operator"
            raise ArgumentError(message)
        source = source_of(path, operator, compression)
        self.host()
        try:
            with lend(self, source) as handle:
                return self.write(handle)
        finally:
            self.dut()

    def dump(
        self,
        path: PathBuf,
        *,
        target: str | None = None,
        operator: Operator | None = None,
        compression: Compression | None = None,
    ) -> Any:  # noqa: ANN401 - what the driver returns
        """Make `path` of the storage's content; the device gets it back even if that fails.

        Raises ArgumentError for a target: the storage is one.
        """
        _refuse_target("dump", target)
        destination = target_of(path, operator, compression)
        self.host()
        try:
            with lend(self, destination) as handle:
                return self.read(handle)
        finally:
            self.dut()

    def cli(self, base: click.Group | None = None) -> click.Group:
        """Return the commands of a flasher and those of the storage."""
        group = FlasherClient.cli(self)
        if base is not None:
            for command in group.commands.values():
                base.add_command(command)
            group = base
        return StorageMuxClient.cli(self, group)


def _refuse_target(operation: str, target: str | None) -> None:
    if target is not None:
        message = f"{operation}: this storage has no parts; omit 'target' ({target!r} was given)"
        raise ArgumentError(message)


def _empty_group(client: StorageMuxClient) -> click.Group:
    @driver_click_group(client)
    def base() -> None:
        """Move a storage between host and device"""

    return base


def _action_command(name: str, action: Callable[[], object], text: str) -> click.Command:
    @click.command(name, help=text)
    def command() -> None:
        action()

    return command


def _write_command(client: StorageMuxClient) -> click.Command:
    @click.command("write-local-file")
    @click.argument("file")
    def command(file: str) -> None:
        """Write the local FILE to the storage"""
        client.write_local_file(file)

    return command
