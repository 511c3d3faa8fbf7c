"""The command line of a storage: one command per method of its client."""

import sys
from collections.abc import Callable, Iterable
from typing import get_args

import click
from jumpstarter.client.decorators import DriverClickGroup, driver_click_group
from pydantic import TypeAdapter

from .common import Capability, HashAlgo, PresignedRequest
from .storage_client import StorageClient

_CAPABILITY = TypeAdapter(Capability)


def storage_commands(client: StorageClient) -> click.Group:
    """Return the group of all commands for `client`."""

    @driver_click_group(client)
    def base() -> None:
        """Files of a storage on the exporter"""

    _add_transfers(base, client)
    _add_inquiries(base, client)
    _add_changes(base, client)
    for name, presign in (
        ("presign-stat", client.presign_stat),
        ("presign-read", client.presign_read),
        ("presign-write", client.presign_write),
    ):
        base.add_command(_presign_command(name, presign))
    base.add_command(_list_command("list", client.list, "List what PATH holds"))
    base.add_command(_list_command("scan", client.scan, "List what PATH holds, at any depth"))
    return base


def _add_transfers(base: DriverClickGroup, client: StorageClient) -> None:
    @base.command("write-bytes")
    @click.argument("path")
    def write_bytes(path: str) -> None:
        """Make the file PATH of standard input"""
        client.write_bytes(path, sys.stdin.buffer.read())

    @base.command("read-bytes")
    @click.argument("path")
    def read_bytes(path: str) -> None:
        """Write the file PATH to standard output"""
        click.echo(client.read_bytes(path), nl=False)

    @base.command("write-from-path")
    @click.argument("dst")
    @click.argument("src")
    def write_from_path(dst: str, src: str) -> None:
        """Make the file DST of SRC, a local file or web address"""
        client.write_from_path(dst, src)

    @base.command("read-into-path")
    @click.argument("src")
    @click.argument("dst")
    def read_into_path(src: str, dst: str) -> None:
        """Make the local file DST of the file SRC"""
        client.read_into_path(src, dst)

    _registered(write_bytes, read_bytes, write_from_path, read_into_path)


def _add_inquiries(base: DriverClickGroup, client: StorageClient) -> None:
    @base.command("stat")
    @click.argument("path")
    def stat(path: str) -> None:
        """Print what is known about PATH, as JSON"""
        click.echo(client.stat(path).model_dump_json(by_alias=True))

    @base.command("hash")
    @click.argument("path")
    @click.option(
        "--algo", type=click.Choice(get_args(HashAlgo)), default="sha256", show_default=True
    )
    def digest(path: str, algo: HashAlgo) -> None:
        """Print the digest of the file PATH"""
        click.echo(client.hash(path, algo))

    @base.command("exists")
    @click.argument("path")
    def exists(path: str) -> None:
        """Fail unless PATH exists"""
        if not client.exists(path):
            message = f"{path} does not exist in the storage"
            raise click.ClickException(message)

    @base.command("capability")
    def capability() -> None:
        """Print what the storage service can do, as JSON"""
        click.echo(_CAPABILITY.dump_json(client.capability()))

    _registered(stat, digest, exists, capability)


def _add_changes(base: DriverClickGroup, client: StorageClient) -> None:
    @base.command("copy")
    @click.argument("source")
    @click.argument("target")
    def copy(source: str, target: str) -> None:
        """Copy the file SOURCE to TARGET, inside the storage"""
        client.copy(source, target)

    @base.command("rename")
    @click.argument("source")
    @click.argument("target")
    def rename(source: str, target: str) -> None:
        """Rename the file SOURCE to TARGET, inside the storage"""
        client.rename(source, target)

    @base.command("remove-all")
    @click.argument("path")
    def remove_all(path: str) -> None:
        """Remove PATH and all below it"""
        client.remove_all(path)

    @base.command("create-dir")
    @click.argument("path")
    def create_dir(path: str) -> None:
        """Make the directory PATH and those above it"""
        client.create_dir(path)

    @base.command("delete")
    @click.argument("path")
    def delete(path: str) -> None:
        """Remove the file or empty directory PATH"""
        client.delete(path)

    _registered(copy, rename, remove_all, create_dir, delete)


def _list_command(name: str, entries: Callable[[str], Iterable[str]], text: str) -> click.Command:
    @click.command(name, help=text)
    @click.argument("path")
    def command(path: str) -> None:
        for entry in entries(path):
            click.echo(entry)

    return command


def _presign_command(name: str, presign: Callable[[str, int], PresignedRequest]) -> click.Command:
    @click.command(name)
    @click.argument("path")
    @click.option("--expire-second", type=click.IntRange(min=1), required=True, help="Valid for")
    def command(path: str, expire_second: int) -> None:
        """Print a signed HTTP request for PATH, as JSON"""
        click.echo(presign(path, expire_second).model_dump_json())

    return command


def _registered(*commands: click.Command) -> None:
    """Name what a decorator has added to its group already, so that it counts as used."""
    del commands
