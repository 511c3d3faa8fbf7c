"""The files of a storage on an exporter, as its client sees them; the commands are elsewhere."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any
from uuid import UUID

from jumpstarter.client import DriverClient
from opendal import Operator
from pydantic import TypeAdapter

from .adapter import lend
from .arguments import validated
from .common import Capability, HashAlgo, Metadata, Mode, PathBuf, PresignedRequest
from .paths import path_text
from .remote_file import OpendalFile
from .sources import source_of, target_of

_CAPABILITY = TypeAdapter(Capability)


class StorageClient(DriverClient):
    """Reads and writes the files of a storage.

    Paths are relative to the storage's root. Methods raise what a call of a driver raises, and
    ValueError for an argument of a wrong type.
    """

    @validated
    def write_bytes(self, path: PathBuf, data: bytes) -> None:
        """Make the file `path` of `data`."""
        with self.open(path, "wb") as file:
            file.write_bytes(data)

    def read_bytes(self, path: PathBuf) -> bytes:
        """Return the content of the file `path`."""
        with self.open(path, "rb") as file:
            return file.read_bytes()

    def write_from_path(self, dst: PathBuf, src: PathBuf, operator: Operator | None = None) -> None:
        """Make the file `dst` of `src`: a local file, a web address, or a file of `operator`.

        The exporter fetches a web address by itself.
        """
        # The source is opened first: one that is missing must not empty the file `dst`.
        with lend(self, source_of(src, operator)) as handle, self.open(dst, "wb") as file:
            file.write_handle(handle)

    def read_into_path(self, src: PathBuf, dst: PathBuf, operator: Operator | None = None) -> None:
        """Make the local file `dst`, or a file of `operator`, of the file `src`.

        Raises ArgumentError when `dst` is a web address.
        """
        target = target_of(dst, operator)
        with (
            self.open(src, "rb") as file,
            lend(self, replace(target, expected=self.stat(src))) as handle,
        ):
            file.read_handle(handle)

    def open(self, path: PathBuf, mode: Mode) -> OpendalFile:
        """Open a file for reading (`rb`), or for writing from its beginning (`wb`)."""
        return OpendalFile(client=self, fd=UUID(self._call_with_paths("open", path, rest=(mode,))))

    def stat(self, path: PathBuf) -> Metadata:
        """Return what the storage knows about one entry."""
        return Metadata.model_validate(self._call_with_paths("stat", path))

    def hash(self, path: PathBuf, algo: HashAlgo = "sha256") -> str:
        """Return the digest of a file, which the exporter computes, in hexadecimal."""
        return str(self._call_with_paths("hash", path, rest=(algo,)))

    def copy(self, source: PathBuf, target: PathBuf) -> None:
        """Copy a file inside the storage."""
        self._call_with_paths("copy", source, target)

    def rename(self, source: PathBuf, target: PathBuf) -> None:
        """Rename a file inside the storage."""
        self._call_with_paths("rename", source, target)

    def remove_all(self, path: PathBuf) -> None:
        """Remove a file, or a directory and all below it."""
        self._call_with_paths("remove_all", path)

    def create_dir(self, path: PathBuf) -> None:
        """Make a directory and those above it."""
        self._call_with_paths("create_dir", path)

    def delete(self, path: PathBuf) -> None:
        """Remove a file or an empty directory; a missing one is none to remove."""
        self._call_with_paths("delete", path)

    def exists(self, path: PathBuf) -> bool:
        """Return whether there is an entry at `path`."""
        return bool(self._call_with_paths("exists", path))

    def list(self, path: PathBuf) -> Generator[str, None, None]:
        """Yield what a directory holds, directories with a slash at their end.

        A path without a slash at its end is a prefix: entries that begin with it are yielded.
        """
        yield from self.streamingcall("list", path_text(path))

    def scan(self, path: PathBuf) -> Generator[str, None, None]:
        """Yield as `list` does, and what the directories below hold."""
        yield from self.streamingcall("scan", path_text(path))

    def presign_stat(self, path: PathBuf, expire_second: int) -> PresignedRequest:
        """Return a request for the metadata of a file, valid for `expire_second` seconds."""
        return self._presign("presign_stat", path, expire_second)

    def presign_read(self, path: PathBuf, expire_second: int) -> PresignedRequest:
        """Return a request for the content of a file, valid for `expire_second` seconds."""
        return self._presign("presign_read", path, expire_second)

    def presign_write(self, path: PathBuf, expire_second: int) -> PresignedRequest:
        """Return a request that writes a file, valid for `expire_second` seconds."""
        return self._presign("presign_write", path, expire_second)

    def capability(self) -> Capability:
        """Return what the storage service can do."""
        return _CAPABILITY.validate_python(self.call("capability"))

    def get_created_resources(self) -> set[str]:
        """Return the paths that were made in this session and are still there."""
        return set(self.call("get_created_resources"))

    def _presign(self, method: str, path: PathBuf, expire_second: int) -> PresignedRequest:
        return PresignedRequest.model_validate(
            self._call_with_paths(method, path, rest=(expire_second,))
        )

    def _call_with_paths(self, method: str, *paths: PathBuf, rest: tuple[object, ...] = ()) -> Any:  # noqa: ANN401 - what the driver returns
        return self.call(method, *map(path_text, paths), *rest)
