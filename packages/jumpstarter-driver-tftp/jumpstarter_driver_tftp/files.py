"""The files that a server sends, wherever they are kept.

A directory is read directly: nothing that was opened lies outside it, whatever links are changed
while a path is followed; pages that the kernel holds are copied at once and others are fetched in
a worker thread, so that no disk ever stops the loop. Any other store is read through its
operator, one chunk ahead. At most two chunks of a file are in memory, and a file that turns out
shorter than announced is an error, never a short copy.
"""

import errno
import os
import stat
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, cast

from anyio import to_thread
from opendal import AsyncOperator

from jumpstarter_driver_tftp import at_hand
from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.names import (
    FILE_CHANGED,
    FORBIDDEN,
    NOT_A_FILE,
    NOT_FOUND,
    is_unfinished,
)
from jumpstarter_driver_tftp.packet import TftpErrorCode
from jumpstarter_driver_tftp.stores import Store

_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class OpenFile(Protocol):
    """A file that is being read from its beginning to its end."""

    @property
    def size(self) -> int | None:
        """How many bytes there are, or None when the store cannot tell."""
        ...

    def at_hand(self, limit: int) -> tuple[bytes, bool] | None:
        """Do as `read` does, or return None where that would have to wait.

        Raises:
            FileRefused: the file cannot be read to its end.
        """
        ...

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """Return the next bytes, at most `limit`, and whether they are the last.

        Raises:
            FileRefused: the file cannot be read to its end.
        """
        ...


class Files(Protocol):
    """Whatever holds files."""

    def at_hand(self, path: tuple[str, ...]) -> "LocalFile | None":
        """Open the file at the end of `path`, if nothing has to be waited for.

        None means that `open` tells whether there is such a file.
        """
        ...

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


class LocalFile:
    """A regular file by its descriptor, as it was when it was opened.

    A context manager that closes the descriptor.

    Attributes:
        size: how many bytes there are.
    """

    __slots__ = ("_descriptor", "_device", "_position", "size")

    def __init__(self, descriptor: int, info: os.stat_result) -> None:
        """Take over a descriptor, and what is known about it."""
        self.size = info.st_size
        self._descriptor = descriptor
        self._device = info.st_dev
        self._position = 0

    def __enter__(self) -> Self:
        """Do nothing: it is open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give up the descriptor."""
        os.close(self._descriptor)

    def at_hand(self, limit: int) -> tuple[bytes, bool] | None:
        """Return the next bytes and whether they are the last, or None if a disk has them."""
        limit = min(limit, self.size - self._position)
        try:
            chunk = at_hand.read(self._descriptor, limit, self._position, self._device)
        except OSError as error:
            raise _refusal(error) from error
        return None if chunk is None else self._took(chunk, limit)

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """Return the next bytes, and whether they are the last."""
        limit = min(limit, self.size - self._position)
        try:
            chunk = await to_thread.run_sync(os.pread, self._descriptor, limit, self._position)
        except OSError as error:
            raise _refusal(error) from error
        return self._took(chunk, limit)

    def _took(self, chunk: bytes, limit: int) -> tuple[bytes, bool]:
        if limit and not chunk:
            raise FileRefused(*FILE_CHANGED)
        self._position += len(chunk)
        return chunk, self._position == self.size


@dataclass(frozen=True, slots=True)
class Directory:
    """The regular files below a directory, links included that stay below it."""

    root: Path

    def at_hand(self, path: tuple[str, ...]) -> LocalFile | None:
        """Open a file below the directory, if the kernel knows its whole path already."""
        if is_unfinished(path[-1]):
            return None
        opened = at_hand.open_regular(str(self.root), "/".join(path))
        return None if opened is None else LocalFile(*opened)

    @asynccontextmanager
    async def open(self, path: tuple[str, ...]) -> AsyncGenerator[LocalFile]:
        """Open a file below the directory."""
        try:
            file = await to_thread.run_sync(self._open, path)
        except OSError as error:
            raise _refusal(error) from error
        with file:
            yield file

    def _open(self, path: tuple[str, ...]) -> LocalFile:
        root, parts = _real_path(self.root, path)
        if not parts:
            raise FileRefused(*NOT_A_FILE)
        *folders, name = parts
        if is_unfinished(name):
            raise FileRefused(*NOT_FOUND)
        with _walk(root, folders) as folder:
            return LocalFile(*_open_regular(name, folder))


@contextmanager
def open_folder(root: Path, path: tuple[str, ...]) -> Generator[int]:
    """Open a directory below `root`, or `root` itself, to find files in it by its descriptor.

    Raises:
        FileRefused: it lies outside.
        OSError: there is none.
    """
    real_root, parts = _real_path(root, path)
    with _walk(real_root, parts) as folder:
        yield folder


def _real_path(root: Path, path: tuple[str, ...]) -> tuple[str, list[str]]:
    """Return the real path of `root`, and the components below it that `path` leads to."""
    real_root = os.path.realpath(root)
    real = os.path.realpath(os.path.join(real_root, *path), strict=True)
    if os.path.commonpath([real_root, real]) != real_root:
        raise FileRefused(*FORBIDDEN)
    below = os.path.relpath(real, real_root)
    return real_root, [] if below == os.curdir else below.split(os.sep)


@contextmanager
def _walk(root: str, parts: list[str]) -> Generator[int]:
    # There were no links in it. One that appears now is not followed: each step says so.
    with ExitStack() as stack:
        folder = os.open(root, _DIRECTORY)
        stack.callback(os.close, folder)
        for part in parts:
            folder = os.open(part, _DIRECTORY, dir_fd=folder)
            stack.callback(os.close, folder)
        yield folder


def _open_regular(name: str, folder: int) -> tuple[int, os.stat_result]:
    # Opening a device or a FIFO can already have an effect, so its kind is looked at first.
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise FileRefused(*NOT_A_FILE)
    descriptor = os.open(name, _FILE, dir_fd=folder)
    info = os.fstat(descriptor)
    if not stat.S_ISREG(info.st_mode):
        os.close(descriptor)
        raise FileRefused(*NOT_A_FILE)
    return descriptor, info


def _refusal(error: OSError) -> FileRefused:
    if isinstance(error, PermissionError):
        return FileRefused(*FORBIDDEN)
    absent = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
    if error.errno in absent:
        return FileRefused(*NOT_FOUND)
    return FileRefused(TftpErrorCode.NOT_DEFINED, error.strerror or "Input/output error")
