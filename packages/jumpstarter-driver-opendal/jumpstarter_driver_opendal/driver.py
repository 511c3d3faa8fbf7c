"""`Opendal`, the driver of a file storage on any service that Apache OpenDAL knows.

Every path that a client names passes `_locate` before it reaches the service, so that nothing
outside the root can be read, written or listed.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import field
from pathlib import Path
from typing import Annotated, ClassVar
from uuid import UUID, uuid4

import anyio
import opendal
from anyio import to_thread
from jumpstarter.common.resources import Resource
from jumpstarter.driver import Driver, export
from jumpstarter.streams.forwarding import CHUNK_SIZE
from pydantic import ConfigDict, Field, Strict
from pydantic.dataclasses import dataclass

from .arguments import validated
from .cleanup import missing_directories, remove_created, remove_unfinished
from .common import Capability, HashAlgo, Metadata, Mode, PresignedRequest
from .created import at_or_below, created_name
from .errors import first_line
from .files import OpenFile, close_all
from .interfaces import FlasherInterface, StorageMuxFlasherInterface, StorageMuxInterface
from .mocks import MockFlasher, MockStorageMux, MockStorageMuxFlasher
from .models import capability_of, metadata_of, presigned_of
from .paths import directory_path, refuse_way_out, storage_path
from .service import Service

DISCARD_SECONDS = 5.0
"""How long removing an unfinished file may hold up its failed writer."""

Position = Annotated[int, Strict()]
Whence = Annotated[int, Strict(), Field(ge=0, le=2)]
Seconds = Annotated[int, Strict(), Field(gt=0)]


@dataclass(kw_only=True, config=ConfigDict(arbitrary_types_allowed=True, extra="forbid"))
class Opendal(Driver):
    """Files on the service `scheme`, which is configured by `kwargs`.

    Paths are relative to the service's root, and refused when they leave it. Methods raise
    FileNotFoundError, PermissionError, ValueError, NotImplementedError where the service lacks an
    operation, and OSError for other failures of the service.
    """

    driver_type: ClassVar[str] = "storage"

    scheme: str
    """Name of the service: fs, memory, http, s3 and others."""

    kwargs: dict[str, str]
    """Options of the service; `fs` needs `root`, the directory that it serves."""

    remove_created_on_close: bool = False
    """Whether files and directories made in a session are removed at its end; only for `fs`."""

    _operator: opendal.AsyncOperator = field(init=False, repr=False)
    _service: Service = field(init=False, repr=False)
    _root: Path | None = field(init=False, repr=False, default=None)
    _fds: dict[UUID, OpenFile] = field(init=False, repr=False, default_factory=dict[UUID, OpenFile])
    _unfinished: set[str] = field(init=False, repr=False, default_factory=set[str])
    _created_paths: set[str] = field(init=False, repr=False, default_factory=set[str])
    _created_parents: set[str] = field(init=False, repr=False, default_factory=set[str])

    @classmethod
    def client(cls) -> str:
        """Return the dotted path of the client class."""
        return "jumpstarter_driver_opendal.client.OpendalClient"

    def __post_init__(self) -> None:
        """Open the service; raises ValueError when it refuses its options."""
        super().__post_init__()
        try:
            self._operator = opendal.AsyncOperator(self.scheme, **self.kwargs)
        except opendal.exceptions.Error as error:
            message = f"storage {self.scheme!r}: {first_line(error)}; correct 'scheme' and 'kwargs'"
            raise ValueError(message) from None
        self._service = Service(self._operator)
        if self.scheme == "fs":
            self._root = Path(self.kwargs["root"]).resolve()

    def close(self) -> None:
        """Close what clients left open, and remove what they made where the driver is told to."""
        left_open = [file for file in self._fds.values() if file.name not in self._unfinished]
        self._fds.clear()
        if left_open:
            close_all(left_open, self.logger)
        for name in list(self._unfinished):
            self._discard(name)
        if self.remove_created_on_close:
            self._remove_created()
        super().close()

    @export
    @validated
    async def open(self, path: str, mode: Mode) -> UUID:
        """Open a file and return the handle for the `file_` methods."""
        name = await self._locate(path)
        if mode == "rb":
            file = await self._service.open(name, mode)
        else:
            async with self._creating(name):
                file = await self._service.open(name, mode)
        fd = uuid4()
        self._fds[fd] = OpenFile(name, mode, file)
        return fd

    @export
    @validated
    async def file_read(self, fd: UUID, dst: Resource) -> None:
        """Send the file from its position to its end to the resource `dst`."""
        file = self._open_file(fd)
        async with self.resource(dst) as stream:
            await file.send_to(stream)

    @export
    @validated
    async def file_write(self, fd: UUID, src: Resource) -> None:
        """Write all that the resource `src` yields to the file.

        When that fails the file is closed and removed, so that nobody takes a part for the whole.
        """
        file = self._open_file(fd)
        file.needs("wb", "write")
        async with self._writing(fd, file), self.resource(src) as stream:
            await file.receive_from(stream)

    @export
    @validated
    async def file_seek(self, fd: UUID, pos: Position, whence: Whence = 0) -> int:
        """Move to `pos`, from the start (0), the position (1) or the end (2); return where."""
        return await self._open_file(fd).seek(pos, whence)

    @export
    @validated
    async def file_tell(self, fd: UUID) -> int:
        """Return the position of a file that is open for reading."""
        return await self._open_file(fd).tell()

    @export
    @validated
    async def file_close(self, fd: UUID) -> None:
        """Close the file; what was written is complete then. A closed one may be closed again."""
        file = self._fds.pop(fd, None)
        if file is not None and file.mode == "wb":
            async with self._writing(fd, file):
                await file.close()
        elif file is not None:
            await file.close()

    @export
    @validated
    async def file_closed(self, fd: UUID) -> bool:
        """Return whether the file is not open, or not any more."""
        return fd not in self._fds

    @export
    @validated
    async def file_readable(self, fd: UUID) -> bool:
        """Return whether the file was opened for reading."""
        return self._open_file(fd).mode == "rb"

    @export
    @validated
    async def file_seekable(self, fd: UUID) -> bool:
        """Return whether the position can be moved."""
        return await self._open_file(fd).seekable()

    @export
    @validated
    async def file_writable(self, fd: UUID) -> bool:
        """Return whether the file was opened for writing."""
        return self._open_file(fd).mode == "wb"

    @export
    @validated
    async def stat(self, path: str) -> Metadata:
        """Return what the service knows about one entry."""
        name = await self._locate(path)
        return metadata_of(await self._service.stat(name))

    @export
    @validated
    async def hash(self, path: str, algo: HashAlgo = "sha256") -> str:
        """Return the digest of a file, in hexadecimal."""
        name = await self._locate(path)
        return await self._service.digest(name, algo)

    @export
    @validated
    async def copy(self, source: str, target: str) -> None:
        """Copy a file."""
        source_name, target_name = await self._locate(source), await self._locate(target)
        async with self._creating(target_name):
            await self._service.copy(source_name, target_name)

    @export
    @validated
    async def rename(self, source: str, target: str) -> None:
        """Rename a file, replacing `target`."""
        source_name, target_name = await self._locate(source), await self._locate(target)
        async with self._creating(target_name):
            await self._service.rename(source_name, target_name)
        self._forget(source_name)

    @export
    @validated
    async def remove_all(self, path: str) -> None:
        """Remove a file, or a directory and all below it. The root itself stays, empty."""
        name = await self._locate(path)
        # The service takes a name without a slash as a prefix: `a` would remove `ab` too.
        if name != "/" and not await self._service.is_directory(name):
            await self._service.delete(name)
        await self._service.remove_all(directory_path(name))
        if name == "/" and self._service.capability().create_dir:
            await self._service.create_dir(name)
        self._forget(name)

    @export
    @validated
    async def create_dir(self, path: str) -> None:
        """Make a directory and those above it; one that exists stays as it is."""
        name = directory_path(await self._locate(path))
        if not await self._service.exists(name):
            async with self._creating(name):
                await self._service.create_dir(name)

    @export
    @validated
    async def delete(self, path: str) -> None:
        """Remove a file or an empty directory; a missing one is none to remove."""
        name = await self._locate(path)
        if name == "/":
            message = f"delete {path!r}: is the root of the storage; name an entry in it"
            raise ValueError(message)
        await self._service.delete(name)
        self._forget(name)

    @export
    @validated
    async def exists(self, path: str) -> bool:
        """Return whether there is an entry at `path`."""
        return await self._service.exists(await self._locate(path))

    @export
    @validated
    async def list(self, path: str) -> AsyncGenerator[str, None]:
        """Yield what a directory holds, directories with a slash at their end.

        A path without a slash at its end is a prefix: entries that begin with it are yielded.
        """
        async with aclosing(self._service.list(await self._locate(path))) as entries:
            async for entry in entries:
                yield entry

    @export
    @validated
    async def scan(self, path: str) -> AsyncGenerator[str, None]:
        """Yield as `list` does, and what the directories below hold."""
        async with aclosing(self._service.scan(await self._locate(path))) as entries:
            async for entry in entries:
                yield entry

    @export
    @validated
    async def presign_stat(self, path: str, expire_second: Seconds) -> PresignedRequest:
        """Return a request for the metadata of a file, valid for `expire_second` seconds."""
        name = await self._locate(path)
        return presigned_of(await self._service.presign_stat(name, expire_second))

    @export
    @validated
    async def presign_read(self, path: str, expire_second: Seconds) -> PresignedRequest:
        """Return a request for the content of a file, valid for `expire_second` seconds."""
        name = await self._locate(path)
        return presigned_of(await self._service.presign_read(name, expire_second))

    @export
    @validated
    async def presign_write(self, path: str, expire_second: Seconds) -> PresignedRequest:
        """Return a request that writes a file, valid for `expire_second` seconds."""
        name = await self._locate(path)
        return presigned_of(await self._service.presign_write(name, expire_second))

    @export
    async def capability(self) -> Capability:
        """Return what the service can do."""
        return capability_of(self._service.capability())

    @export
    async def get_created_resources(self) -> set[str]:
        """Return the paths that were made in this session and are still there."""
        return set(self._created_paths)

    @export
    @validated
    def register_path(self, path: str) -> None:
        """Count `path`, which was made by other means, among those made in this session."""
        self._remember(path)

    async def copy_exporter_file(self, source: Path, target: str) -> None:
        """Copy `source`, a file of the exporter's own, into the storage as `target`."""
        name = await self._locate(target)
        async with await anyio.open_file(source, "rb") as local:
            async with self._creating(name):
                file = OpenFile(name, "wb", await self._service.open(name, "wb"))
            try:
                while chunk := await local.read(CHUNK_SIZE):
                    await file.write(chunk)
            finally:
                await file.close()

    def _normalize_path(self, path: str) -> str:
        """Return the form in which `path` is remembered when it was made in this session."""
        return created_name(path)

    def _open_file(self, fd: UUID) -> OpenFile:
        try:
            return self._fds[fd]
        except KeyError:
            message = f"no file is open as {fd}; open it again"
            raise ValueError(message) from None

    @asynccontextmanager
    async def _writing(self, fd: UUID, file: OpenFile) -> AsyncGenerator[None]:
        """Close and remove the file when the body fails; `close` does so when the body is lost."""
        self._unfinished.add(file.name)
        try:
            yield
        except BaseException:
            self._fds.pop(fd, None)
            with anyio.move_on_after(DISCARD_SECONDS, shield=True):
                await to_thread.run_sync(self._discard, file.name)
            raise
        self._unfinished.discard(file.name)

    def _discard(self, name: str) -> None:
        """Remove a file whose writing failed, if its service shows what is not finished."""
        if self._root is not None and "atomic_write_dir" not in self.kwargs:
            remove_unfinished(self._root, name, self.logger)
        self._unfinished.discard(name)
        self._forget(name)

    async def _locate(self, path: str) -> str:
        """Return the service's name for `path`; raises ValueError when it leaves the root."""
        name = storage_path(path)
        if self._root is not None:
            await to_thread.run_sync(refuse_way_out, self._root, name)
        return name

    @asynccontextmanager
    async def _creating(self, name: str) -> AsyncGenerator[None]:
        """Remember `name`, and the directories that come with it, once the body has made it."""
        parents: frozenset[str] = frozenset()
        if self._root is not None:
            parents = await to_thread.run_sync(missing_directories, self._root, name)
        yield
        self._remember(name)
        self._created_parents |= parents

    # Some changes of these sets are made in other threads, so each is a single operation.

    def _remember(self, path: str) -> None:
        name = created_name(path)
        if name:
            self._created_paths.add(name)

    def _forget(self, path: str) -> None:
        self._created_paths -= at_or_below(frozenset(self._created_paths), path)

    def _remove_created(self) -> None:
        if self._root is not None:
            remove_created(self._root, self._created_paths, self._created_parents, self.logger)
        elif self._created_paths:
            self.logger.warning(
                "remove_created_on_close works for scheme 'fs' only: left in %r: %s",
                self.scheme,
                ", ".join(sorted(self._created_paths)),
            )


__all__ = [
    "FlasherInterface",
    "MockFlasher",
    "MockStorageMux",
    "MockStorageMuxFlasher",
    "Opendal",
    "StorageMuxFlasherInterface",
    "StorageMuxInterface",
]
