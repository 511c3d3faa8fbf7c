"""`OpendalFile`: a file that is open on the exporter, as the client sees it."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Self
from uuid import UUID

from jumpstarter.client import DriverClient
from opendal import Operator

from .adapter import lend
from .buffers import buffer_adapter
from .common import PathBuf
from .sources import source_of, target_of


@dataclass
class OpendalFile:
    """An open file of the storage that `client` talks to; closes at the end of a `with` block.

    Methods raise what a call of a driver raises.
    """

    client: DriverClient
    fd: UUID

    def __enter__(self) -> Self:
        """Return the file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def write_from_path(self, path: PathBuf, operator: Operator | None = None) -> None:
        """Write the content of `path`, a local file or web address, or a file of `operator`."""
        with lend(self.client, source_of(path, operator)) as handle:
            self.write_handle(handle)

    def write_handle(self, handle: object) -> None:
        """Write the bytes of the resource `handle`; if that fails the file is gone."""
        self._call("file_write", handle)

    def read_into_path(self, path: PathBuf, operator: Operator | None = None) -> None:
        """Make the local file `path`, or a file of `operator`, of the rest of this one."""
        with lend(self.client, target_of(path, operator)) as handle:
            self.read_handle(handle)

    def read_handle(self, handle: object) -> None:
        """Send the rest of the file to the resource `handle`."""
        self._call("file_read", handle)

    def write_bytes(self, data: bytes) -> None:
        """Write `data`."""
        with buffer_adapter(self.client, BytesIO(data)) as handle:
            self.write_handle(handle)

    def read_bytes(self) -> bytes:
        """Return all from the position to the end."""
        buffer = BytesIO()
        with buffer_adapter(self.client, buffer) as handle:
            self.read_handle(handle)
        return buffer.getvalue()

    def seek(self, pos: int, whence: int = 0) -> int:
        """Move to `pos`, from the start (0), the position (1) or the end (2); return where."""
        return int(self._call("file_seek", pos, whence))

    def tell(self) -> int:
        """Return the position."""
        return int(self._call("file_tell"))

    def close(self) -> None:
        """Close the file; what was written is complete then. Can be repeated."""
        self._call("file_close")

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return bool(self._call("file_closed"))

    def readable(self) -> bool:
        """Return whether the file was opened for reading."""
        return bool(self._call("file_readable"))

    def seekable(self) -> bool:
        """Return whether the position can be moved."""
        return bool(self._call("file_seekable"))

    def writable(self) -> bool:
        """Return whether the file was opened for writing."""
        return bool(self._call("file_writable"))

    def _call(self, method: str, *args: object) -> Any:  # noqa: ANN401 - what the driver returns
        return self.client.call(method, self.fd, *args)
