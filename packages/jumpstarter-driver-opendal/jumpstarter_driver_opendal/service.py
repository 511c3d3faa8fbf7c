"""A storage service whose errors are builtin ones and whose types are known.

Drivers and clients reach the storage library through here. The library's own annotations leave the
kind of its paths open, so what is used of it is written down as a protocol.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from typing import Protocol, cast

from anyio import to_thread
from jumpstarter.streams.forwarding import CHUNK_SIZE
from opendal import AsyncFile, AsyncOperator, Capability, Entry, Metadata, PresignedRequest

from .common import HashAlgo, Mode
from .errors import translated


class _Operator(Protocol):
    """What is used of `opendal.AsyncOperator`."""

    async def open(self, path: str, mode: str, /) -> AsyncFile: ...
    async def stat(self, path: str, /) -> Metadata: ...
    async def copy(self, source: str, target: str, /) -> None: ...
    async def rename(self, source: str, target: str, /) -> None: ...
    async def remove_all(self, path: str, /) -> None: ...
    async def create_dir(self, path: str, /) -> None: ...
    async def delete(self, path: str, /) -> None: ...
    async def exists(self, path: str, /) -> bool: ...
    async def list(self, path: str, /) -> AsyncIterable[Entry]: ...
    async def scan(self, path: str, /) -> AsyncIterable[Entry]: ...
    async def presign_stat(self, path: str, expire_second: int, /) -> PresignedRequest: ...
    async def presign_read(self, path: str, expire_second: int, /) -> PresignedRequest: ...
    async def presign_write(self, path: str, expire_second: int, /) -> PresignedRequest: ...
    def capability(self) -> Capability: ...


class Service:
    """The files behind one operator; every method raises what `translated` says."""

    def __init__(self, operator: AsyncOperator) -> None:
        """Use `operator`."""
        self._operator = cast("_Operator", operator)

    def capability(self) -> Capability:
        """Return what the service can do."""
        return self._operator.capability()

    async def open(self, path: str, mode: Mode) -> AsyncFile:
        """Open a file, which the caller closes."""
        with translated("open", path):
            return await self._operator.open(path, mode)

    @asynccontextmanager
    async def opened(self, path: str, mode: Mode) -> AsyncGenerator[AsyncFile]:
        """Open a file for the length of the context."""
        file = await self.open(path, mode)
        try:
            yield file
        finally:
            with translated("close", path):
                await file.close()

    async def digest(self, path: str, algo: HashAlgo) -> str:
        """Return the digest of a file, in hexadecimal."""
        digest = hashlib.new(algo, usedforsecurity=False)
        async with self.opened(path, "rb") as file:
            with translated("hash", path):
                while chunk := await file.read(CHUNK_SIZE):
                    await to_thread.run_sync(digest.update, chunk)
        return digest.hexdigest()

    async def stat(self, path: str) -> Metadata:
        """Return what is known about one entry."""
        with translated("stat", path):
            return await self._operator.stat(path)

    async def is_directory(self, path: str) -> bool:
        """Return whether there is a directory at `path`."""
        try:
            return (await self.stat(path)).mode.is_dir()
        except FileNotFoundError:
            return False

    async def exists(self, path: str) -> bool:
        """Return whether there is an entry at `path`."""
        with translated("exists", path):
            return await self._operator.exists(path)

    async def copy(self, source: str, target: str) -> None:
        """Copy a file."""
        with translated("copy", source):
            await self._operator.copy(source, target)

    async def rename(self, source: str, target: str) -> None:
        """Rename a file, replacing `target`."""
        with translated("rename", source):
            await self._operator.rename(source, target)

    async def create_dir(self, path: str) -> None:
        """Make a directory, whose path ends in a slash."""
        with translated("create_dir", path):
            await self._operator.create_dir(path)

    async def delete(self, path: str) -> None:
        """Remove a file or an empty directory, if there is one."""
        with translated("delete", path):
            await self._operator.delete(path)

    async def remove_all(self, path: str) -> None:
        """Remove all entries whose path begins with `path`: end a directory in a slash."""
        with translated("remove_all", path):
            await self._operator.remove_all(path)

    async def list(self, path: str) -> AsyncGenerator[str, None]:
        """Yield the entries of the directory `path`, or those that begin so without a slash."""
        with translated("list", path):
            async for entry in await self._operator.list(path):
                yield entry.path

    async def scan(self, path: str) -> AsyncGenerator[str, None]:
        """Yield as `list` does, and the entries of the directories below."""
        with translated("scan", path):
            async for entry in await self._operator.scan(path):
                yield entry.path

    async def presign_stat(self, path: str, expire_second: int) -> PresignedRequest:
        """Return a request for metadata, valid for `expire_second` seconds."""
        with translated("presign_stat", path):
            return await self._operator.presign_stat(path, expire_second)

    async def presign_read(self, path: str, expire_second: int) -> PresignedRequest:
        """Return a request for the content, valid for `expire_second` seconds."""
        with translated("presign_read", path):
            return await self._operator.presign_read(path, expire_second)

    async def presign_write(self, path: str, expire_second: int) -> PresignedRequest:
        """Return a request that writes the content, valid for `expire_second` seconds."""
        with translated("presign_write", path):
            return await self._operator.presign_write(path, expire_second)
