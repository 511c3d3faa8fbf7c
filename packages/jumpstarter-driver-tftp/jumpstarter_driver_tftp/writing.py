"""Files that clients write: each appears under its name when it is complete, or not at all.

What has arrived is kept where nobody can ask for it, and gets its name in one step, which never
replaces a file unless that is allowed. Bytes are gathered before they are written, in a worker
thread, so that neither a disk nor a hop per packet ever stops the loop.

Only the last component of a path is created. A directory that is missing is refused with ERROR 1,
as by other TFTP servers: a client that mistypes a path shall hear of it. Stores that have no
directories, like S3, miss none.

Only a regular file is ever replaced. A link, to whatever it leads, is refused like a directory.
"""

import errno
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from anyio import CancelScope, move_on_after, to_thread
from opendal import AsyncFile
from opendal import (
    exceptions as opendal_errors,  # pyright: ignore[reportMissingModuleSource] - it is compiled
)

from jumpstarter_driver_tftp.drafts import EXISTS, IN_THE_WAY, Draft, new_hidden_name
from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.files import Directory, Files, open_folder
from jumpstarter_driver_tftp.names import FORBIDDEN, is_unfinished
from jumpstarter_driver_tftp.packet import TftpErrorCode
from jumpstarter_driver_tftp.stores import CLOSE_SECONDS, Store, store_errors, store_name

GATHERED_BYTES = 256 * 1024
"""How much is gathered before it is written."""

_NO_DIRECTORY = (TftpErrorCode.FILE_NOT_FOUND, "No such directory")
_DISK_FULL = (TftpErrorCode.DISK_FULL, "Disk full or allocation exceeded")


class Upload(Protocol):
    """A file that is being written."""

    async def write(self, data: bytes) -> None:
        """Append some bytes.

        Raises:
            FileRefused: the disk is full, or the file too large. Nothing else can be done with it.
        """
        ...

    async def complete(self) -> None:
        """Let the file appear under its name, whole. It is the last call.

        Raises:
            FileRefused: it cannot; for example, a file of that name exists meanwhile.
        """
        ...


@asynccontextmanager
async def create(
    files: Files, path: tuple[str, ...], *, overwrite: bool, max_bytes: int
) -> AsyncGenerator[Upload]:
    """Begin a file that appears at `path` when it is complete; else the context leaves nothing.

    Args:
        files: where it is kept.
        path: its name; all but the last component must exist, where there are directories.
        overwrite: whether it may replace a file of that name.
        max_bytes: how large it may become.

    Raises:
        FileRefused: something of that name is there, or the place takes no files.
    """
    if is_unfinished(path[-1].strip()):
        raise FileRefused(*FORBIDDEN)
    match files:
        case Directory():
            place = _in_directory(files, path, overwrite=overwrite)
        case Store():
            place = _in_store(files, path, overwrite=overwrite)
        case _:
            raise FileRefused(*FORBIDDEN)
    async with place as sink:
        yield _Gathering(sink, max_bytes)


class _Sink(Protocol):
    """What keeps the bytes of a file that has no name yet."""

    @property
    def portion(self) -> int | None:
        """How many bytes at least it takes at once, other than at the end; None: all at once."""
        ...

    async def append(self, data: bytearray) -> None: ...

    async def publish(self) -> None: ...


class _Gathering:
    """Gathers bytes until there are enough of them to be written, and counts them."""

    def __init__(self, sink: _Sink, max_bytes: int) -> None:
        self._sink = sink
        self._max_bytes = max_bytes
        self._size = 0
        self._gathered = bytearray()
        self._refusal: FileRefused | None = None

    async def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._max_bytes:
            text = f"File is larger than {self._max_bytes} bytes"
            self._refusal = self._refusal or FileRefused(TftpErrorCode.DISK_FULL, text)
        self._check()
        self._gathered += data
        if self._sink.portion is not None and len(self._gathered) >= self._sink.portion:
            await self._flush()

    async def complete(self) -> None:
        self._check()
        await self._flush()
        await self._sink.publish()

    def _check(self) -> None:
        # Whatever the caller makes of a failure, a file with a hole never gets a name.
        if self._refusal is not None:
            raise self._refusal

    async def _flush(self) -> None:
        gathered, self._gathered = self._gathered, bytearray()
        try:
            await self._sink.append(gathered)
        except FileRefused as refusal:
            self._refusal = refusal
            raise


class _LocalSink:
    """A file in a directory."""

    portion = GATHERED_BYTES

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    async def append(self, data: bytearray) -> None:
        with _os_errors():
            await to_thread.run_sync(self._draft.write, data)

    async def publish(self) -> None:
        with _os_errors():
            await to_thread.run_sync(self._draft.publish)


@asynccontextmanager
async def _in_directory(
    directory: Directory, path: tuple[str, ...], *, overwrite: bool
) -> AsyncGenerator[_LocalSink]:
    draft = Draft(path[-1], overwrite=overwrite)
    try:
        with _os_errors():
            await to_thread.run_sync(_begin, draft, directory.root, path[:-1])
        yield _LocalSink(draft)
    finally:
        with CancelScope(shield=True):  # as long as one write and one unlink take
            await to_thread.run_sync(draft.close)


def _begin(draft: Draft, root: Path, folder: tuple[str, ...]) -> None:
    with open_folder(root, folder) as descriptor:
        draft.begin(descriptor)


@contextmanager
def _os_errors() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise _refusal(error) from error


def _refusal(error: OSError) -> FileRefused:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return FileRefused(*_DISK_FULL)
        case errno.ENOENT | errno.ENOTDIR | errno.ELOOP:
            return FileRefused(*_NO_DIRECTORY)
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return FileRefused(*FORBIDDEN)
        case errno.EEXIST:
            return FileRefused(*EXISTS)
        case _:
            return FileRefused(TftpErrorCode.NOT_DEFINED, error.strerror or "Input/output error")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a store a file gets its name, and the one that it has until then, if any."""

    store: Store
    name: str
    hidden: str | None
    overwrite: bool

    async def check(self) -> None:
        """Refuse when the file could not get its name now."""
        for name in (self.name, f"{self.name}/"):
            try:
                with store_errors():
                    info = await self.store.operator.stat(name)
            except FileRefused as refusal:
                if refusal.code != TftpErrorCode.FILE_NOT_FOUND:
                    raise
                continue
            if not self.overwrite:
                raise FileRefused(*EXISTS)
            if not info.mode.is_file():
                raise FileRefused(*IN_THE_WAY)


class _StoreSink:
    """A file of a store.

    Where the store can rename, it has a hidden name until it is complete. Where not, it appears
    when its writer is closed: such a store keeps objects, which are there as a whole or not at all,
    and a writer that is dropped before writes none.
    """

    def __init__(self, place: _Place, file: AsyncFile) -> None:
        self._place = place
        self._file = file
        ability = place.store.operator.capability()
        parts = ability.write_can_multi
        self.portion = max(GATHERED_BYTES, ability.write_multi_min_size or 0) if parts else None

    async def append(self, data: bytearray) -> None:
        if data:
            with store_errors():
                await self._file.write(bytes(data))

    async def publish(self) -> None:
        place = self._place
        # Of two clients that write the same name, one may be the first.
        async with place.store.naming:
            await place.check()
            with store_errors():
                await self._file.close()
                if place.hidden is not None:
                    await place.store.operator.rename(place.hidden, place.name)


@asynccontextmanager
async def _in_store(
    store: Store, path: tuple[str, ...], *, overwrite: bool
) -> AsyncGenerator[_StoreSink]:
    ability = store.operator.capability()
    if not ability.write:
        raise FileRefused(*FORBIDDEN)
    hidden = "/".join((*path[:-1], new_hidden_name())) if ability.rename else None
    place = _Place(store, store_name(path), hidden, overwrite)
    await place.check()
    async with AsyncExitStack() as stack:
        if hidden is not None:
            stack.push_async_callback(_delete, store, hidden)
        with store_errors():
            file = await store.operator.open(hidden or place.name, "wb")
        if hidden is not None:
            stack.push_async_callback(_close, file)
        yield _StoreSink(place, file)


async def _close(file: AsyncFile) -> None:
    with move_on_after(CLOSE_SECONDS, shield=True), suppress(OSError):
        if not await file.closed:
            await file.close()


async def _delete(store: Store, name: str) -> None:
    """Delete what there may be; once a file has got its real name, it is nothing."""
    with move_on_after(CLOSE_SECONDS, shield=True), suppress(opendal_errors.Error):
        await store.operator.delete(name)
