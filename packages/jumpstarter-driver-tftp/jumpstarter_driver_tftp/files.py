"""The files that a server sends, wherever they are kept.

A directory is read directly: nothing that was opened lies outside it, whatever links are changed
while a path is followed; pages that the kernel holds are copied at once and others are fetched in
a worker thread, so that no disk ever stops the loop. Any other store is read through its
operator. Either way at most one chunk of a file is in memory, and a file that turns out shorter
than announced is an error, never a short copy.
"""

import errno
import os
import stat
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from anyio import move_on_after, to_thread
from opendal import AsyncFile, AsyncOperator, Metadata
from opendal import (
    exceptions as opendal_errors,  # pyright: ignore[reportMissingModuleSource] - it is compiled
)

from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.names import FORBIDDEN, NOT_A_FILE, NOT_FOUND
from jumpstarter_driver_tftp.packet import TftpErrorCode

CLOSE_SECONDS = 1.0
"""How long a store may take to close a file after a transfer was cut off."""

_CHANGED = (TftpErrorCode.NOT_DEFINED, "File changed while it was sent")
_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NO_WAIT = getattr(os, "RWF_NOWAIT", None)


class OpenFile(Protocol):
    """A file that is being read from its beginning to its end."""

    @property
    def size(self) -> int | None:
        """How many bytes there are, or None when the store cannot tell."""
        ...

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """Return the next bytes, at most `limit`, and whether they are the last.

        Raises:
            FileRefused: the file cannot be read to its end.
        """
        ...


class Files(Protocol):
    """Whatever holds files."""

    def open(self, path: tuple[str, ...]) -> AbstractAsyncContextManager[OpenFile]:
        """Open the file at the end of `path`, as long as the context lasts.

        Raises:
            FileRefused: there is none, or it is not served.
        """
        ...


def files_of(source: AsyncOperator | str | os.PathLike[str]) -> Files:
    """Return the files of a directory, or of whatever an operator reaches."""
    if not isinstance(source, AsyncOperator):
        return Directory(Path(source))
    scheme, options = _parameters(source)
    if scheme == "fs" and "root" in options:
        return Directory(Path(options["root"]))
    return Store(source)


class _Copyable(Protocol):
    def __getnewargs_ex__(self) -> tuple[tuple[str], Mapping[str, str]]: ...


def _parameters(operator: AsyncOperator) -> tuple[str, Mapping[str, str]]:
    # What an operator was made from is what pickling it keeps; it has no attributes for that.
    (scheme,), options = cast("_Copyable", operator).__getnewargs_ex__()
    return scheme, options


@dataclass(slots=True)
class LocalFile:
    """A regular file by its descriptor, as it was when it was opened."""

    _descriptor: int
    size: int
    _position: int = 0

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """Return the next bytes, and whether they are the last."""
        limit = min(limit, self.size - self._position)
        try:
            chunk = self._cached(limit)
            if chunk is None:
                chunk = await to_thread.run_sync(os.pread, self._descriptor, limit, self._position)
        except OSError as error:
            raise _refusal(error) from error
        if limit and not chunk:
            raise FileRefused(*_CHANGED)
        self._position += len(chunk)
        return chunk, self._position == self.size

    def _cached(self, limit: int) -> bytes | None:
        """Return bytes that need no disk, or None when there are none or nobody can tell."""
        if _NO_WAIT is None:
            return None
        buffer = bytearray(limit)
        try:
            count = os.preadv(self._descriptor, [buffer], self._position, _NO_WAIT)
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS}:
                return None
            raise
        return memoryview(buffer)[:count].tobytes()


@dataclass(frozen=True, slots=True)
class Directory:
    """The regular files below a directory, links included that stay below it."""

    root: Path

    @asynccontextmanager
    async def open(self, path: tuple[str, ...]) -> AsyncGenerator[LocalFile]:
        """Open a file below the directory."""
        try:
            descriptor, size = await to_thread.run_sync(self._open, path)
        except OSError as error:
            raise _refusal(error) from error
        try:
            yield LocalFile(descriptor, size)
        finally:
            os.close(descriptor)

    def _open(self, path: tuple[str, ...]) -> tuple[int, int]:
        root = os.path.realpath(self.root)
        real = os.path.realpath(os.path.join(root, *path), strict=True)
        if os.path.commonpath([root, real]) != root:
            raise FileRefused(*FORBIDDEN)
        *folders, name = os.path.relpath(real, root).split(os.sep)
        with ExitStack() as stack:
            # `real` has no links. One that appears now is not followed: each step says so.
            folder = os.open(root, _DIRECTORY)
            stack.callback(os.close, folder)
            for part in folders:
                folder = os.open(part, _DIRECTORY, dir_fd=folder)
                stack.callback(os.close, folder)
            return _open_regular(name, folder)


def _open_regular(name: str, folder: int) -> tuple[int, int]:
    # Opening a device or a FIFO can already have an effect, so its kind is looked at first.
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise FileRefused(*NOT_A_FILE)
    descriptor = os.open(name, _FILE, dir_fd=folder)
    info = os.fstat(descriptor)
    if not stat.S_ISREG(info.st_mode):
        os.close(descriptor)
        raise FileRefused(*NOT_A_FILE)
    return descriptor, info.st_size


def _refusal(error: OSError) -> FileRefused:
    if isinstance(error, PermissionError):
        return FileRefused(*FORBIDDEN)
    absent = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
    if error.errno in absent:
        return FileRefused(*NOT_FOUND)
    return FileRefused(TftpErrorCode.NOT_DEFINED, error.strerror or "Input/output error")


@dataclass(slots=True)
class StoredFile:
    """A file that an operator reads."""

    _file: AsyncFile
    size: int | None
    _position: int = 0

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """Return the next bytes, and whether they are the last."""
        try:
            chunk = await self._file.read(limit)
        except opendal_errors.Error as error:
            raise _store_refusal(error) from error
        self._position += len(chunk)
        if not chunk and self.size is not None and self._position != self.size:
            raise FileRefused(*_CHANGED)
        return chunk, not chunk


class _Reader(Protocol):
    async def stat(self, path: str) -> Metadata: ...
    async def open(self, path: str, mode: str) -> AsyncFile: ...


@dataclass(frozen=True, slots=True)
class Store:
    """The files of an operator of any scheme."""

    operator: _Reader

    @asynccontextmanager
    async def open(self, path: tuple[str, ...]) -> AsyncGenerator[StoredFile]:
        """Open a file of the store."""
        name = "/".join(path)
        async with AsyncExitStack() as stack:
            try:
                info = await self.operator.stat(name)
                if not info.mode.is_file():
                    raise FileRefused(*NOT_A_FILE)
                file = await self.operator.open(name, "rb")
            except opendal_errors.Error as error:
                raise _store_refusal(error) from error
            except UnicodeEncodeError as error:
                raise FileRefused(*NOT_FOUND) from error  # stores know only UTF-8 names
            stack.push_async_callback(_close, file)
            yield StoredFile(file, info.content_length or None)


async def _close(file: AsyncFile) -> None:
    with move_on_after(CLOSE_SECONDS, shield=True):
        await file.close()


def _store_refusal(error: opendal_errors.Error) -> FileRefused:
    match error:
        case opendal_errors.NotFound() | opendal_errors.NotADirectory():
            return FileRefused(*NOT_FOUND)
        case opendal_errors.IsADirectory():
            return FileRefused(*NOT_A_FILE)
        case opendal_errors.PermissionDenied():
            return FileRefused(*FORBIDDEN)
        case _:
            return FileRefused(TftpErrorCode.NOT_DEFINED, "Storage failed")
