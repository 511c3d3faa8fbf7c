"""The public names of the client side. Nothing here, or below, imports a driver."""

import click

from .buffers import BytesIOStream
from .commands import storage_commands
from .flashers import FlasherClient, FlasherClientInterface
from .remote_file import OpendalFile
from .sources import clean_filename, operator_for_path, path_with_query
from .storage_client import StorageClient
from .storage_mux import StorageMuxClient, StorageMuxFlasherClient


class OpendalClient(StorageClient):
    """Client of the `Opendal` driver: the files of a storage, and commands for them."""

    def cli(self) -> click.Group:
        """Return the storage's commands."""
        return storage_commands(self)


__all__ = [
    "BytesIOStream",
    "FlasherClient",
    "FlasherClientInterface",
    "OpendalClient",
    "OpendalFile",
    "StorageMuxClient",
    "StorageMuxFlasherClient",
    "clean_filename",
    "operator_for_path",
    "path_with_query",
]
