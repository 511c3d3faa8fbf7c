"""The files of a store that only its operator can read: memory, HTTP, S3 and others.

They are read one chunk ahead of whoever sends them, so that a slow store works while the network
does; at most two chunks of a file are in memory.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from anyio import Lock, fail_after, move_on_after
from opendal import AsyncFile, Capability, Entry, Metadata
from opendal import (
    exceptions as opendal_errors,  # pyright: ignore[reportMissingModuleSource] - it is compiled
)

from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.names import (
    FILE_CHANGED,
    FORBIDDEN,
    NOT_A_FILE,
    NOT_FOUND,
    is_unfinished,
)
from jumpstarter_driver_tftp.packet import TftpErrorCode

CLOSE_SECONDS = 1.0
"""How long a store may take to close a file after a transfer was cut off."""

STORE_SECONDS = 30.0
"""How long a store may take for anything else; no client waits longer."""

READ_AHEAD_BYTES = 256 * 1024
"""How much of a store's file is fetched at most while what precedes it is sent."""


class StoredFile:
    """A file that an operator reads, always one read ahead of whoever sends it.

    The first bytes are fetched before anything is answered: until then, some stores have not even
    begun to read, and would mix what they hold now with a size of before.

    Attributes:
        size: how many bytes there are.
        ahead: what comes after what was returned, and is being fetched.
    """

    def __init__(self, file: AsyncFile, size: int) -> None:
        """Begin to read a file that was opened for that."""
        self.size = size
        self._file = file
        self._position = 0
        self._held = b""
        self.ahead = self._ask()

    async def begin(self) -> None:
        """Wait for the first bytes."""
        self._held = await self._arrival()

    def at_hand(self, limit: int) -> None:
        """Return that whatever comes next has to be waited for."""

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """Return the next bytes, and whether they are the last."""
        held = self._held or await self._arrival()
        chunk, self._held = held[:limit], held[limit:]
        self._position += len(chunk)
        if self._position > self.size or not (chunk or self._position == self.size):
            raise FileRefused(*FILE_CHANGED)
        return chunk, not chunk

    def drop(self) -> None:
        """End what was begun; nobody waits for it."""
        if not self.ahead.cancel() and not self.ahead.cancelled():
            self.ahead.exception()  # or else the loop complains that nobody has seen it

    def _ask(self) -> asyncio.Future[bytes]:
        # An operator begins at once, not when somebody waits for it.
        return asyncio.ensure_future(self._file.read(READ_AHEAD_BYTES))

    async def _arrival(self) -> bytes:
        with store_errors():
            chunk = await self.ahead
        if chunk:
            self.ahead = self._ask()
        return chunk


@dataclass(slots=True)
class FetchedFile:
    """A file that a store had to send as a whole, since it does not say how large it is."""

    _content: bytes
    _position: int = 0

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self._content)

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """Return the next bytes, and whether they are the last."""
        return self.at_hand(limit)

    def at_hand(self, limit: int) -> tuple[bytes, bool]:
        """Return the next bytes, and whether they are the last."""
        chunk = self._content[self._position : self._position + limit]
        self._position += len(chunk)
        return chunk, self._position == len(self._content)


class _Operator(Protocol):
    async def stat(self, path: str) -> Metadata: ...
    async def open(self, path: str, mode: str) -> AsyncFile: ...
    async def read(self, path: str) -> bytes: ...
    async def rename(self, source: str, target: str) -> None: ...
    async def delete(self, path: str) -> None: ...
    async def scan(self, path: str) -> AsyncIterable[Entry]: ...
    def capability(self) -> Capability: ...


@dataclass(frozen=True, slots=True)
class Store:
    """The files of an operator of any scheme.

    Attributes:
        operator: reads and writes them.
        naming: is held while a new file gets its name.
    """

    operator: _Operator
    naming: Lock = field(default_factory=Lock, compare=False, repr=False)

    def at_hand(self, path: tuple[str, ...]) -> None:
        """Return that every file has to be waited for."""

    @asynccontextmanager
    async def open(self, path: tuple[str, ...]) -> AsyncGenerator[StoredFile | FetchedFile]:
        """Open a file of the store."""
        name = store_name(path)
        if is_unfinished(path[-1].strip()):
            raise FileRefused(*NOT_FOUND)
        with store_errors():
            info = await self.operator.stat(name)
            if not info.mode.is_file():
                raise FileRefused(*NOT_A_FILE)
        if info.content_length:
            async with self._reading(name, info.content_length) as file:
                yield file
        else:
            # An operator takes an unknown length for 0; only one call asks for all there is.
            with store_errors():
                content = await self.operator.read(name)
            yield FetchedFile(content)

    @asynccontextmanager
    async def _reading(self, name: str, size: int) -> AsyncGenerator[StoredFile]:
        async with AsyncExitStack() as stack:
            with store_errors():
                reader = await self.operator.open(name, "rb")
            stack.push_async_callback(_close, reader)
            file = StoredFile(reader, size)
            stack.callback(file.drop)
            await file.begin()
            yield file


async def _close(file: AsyncFile) -> None:
    with move_on_after(CLOSE_SECONDS, shield=True), suppress(OSError):
        await file.close()


def store_name(path: tuple[str, ...]) -> str:
    """Return the name of a file as operators know it.

    Raises:
        FileRefused: they can have no such file. They know UTF-8 only, and would take any bytes that
            are none for the same.
    """
    name = "/".join(path)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise FileRefused(*NOT_FOUND) from error
    return name


@contextmanager
def store_errors() -> Generator[None]:
    """Translate what an operator raises, and give up a store that does not answer.

    Raises:
        FileRefused: what the client is told.
    """
    try:
        with fail_after(STORE_SECONDS):
            yield
    except TimeoutError as error:
        raise FileRefused(TftpErrorCode.NOT_DEFINED, "Storage does not answer") from error
    except (opendal_errors.Error, OSError) as error:
        raise _refusal(error) from error


def _refusal(error: Exception) -> FileRefused:
    # What an operator does raises errors of its own; what is done with an open file, an OSError.
    match error:
        case opendal_errors.NotFound() | opendal_errors.NotADirectory() | FileNotFoundError():
            return FileRefused(*NOT_FOUND)
        case opendal_errors.IsADirectory() | IsADirectoryError():
            return FileRefused(*NOT_A_FILE)
        case opendal_errors.PermissionDenied() | PermissionError():
            return FileRefused(*FORBIDDEN)
        case _:
            return FileRefused(TftpErrorCode.NOT_DEFINED, "Storage failed")
