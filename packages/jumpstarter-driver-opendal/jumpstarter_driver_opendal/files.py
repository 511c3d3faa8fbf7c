"""A file that a client has open on the exporter."""

from collections.abc import Iterable
from dataclasses import dataclass
from logging import Logger, LoggerAdapter

import anyio
import opendal
from anyio.abc import ObjectStream
from anyio.from_thread import start_blocking_portal
from jumpstarter.streams.forwarding import CHUNK_SIZE

from .common import Mode
from .errors import translated

CLOSE_SECONDS = 10.0
"""How long the end of a session waits for a service to finish files."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """An open file, under the name that its service has for it, and what it was opened as.

    Methods raise ValueError for what the mode does not allow, and what `translated` raises.
    """

    name: str
    mode: Mode
    file: opendal.AsyncFile

    async def send_to(self, stream: ObjectStream[bytes]) -> None:
        """Send the bytes from the position to the end."""
        self.needs("rb", "read")
        while chunk := await self._read():
            await stream.send(chunk)

    async def receive_from(self, stream: ObjectStream[bytes]) -> None:
        """Write all that the stream yields."""
        async for chunk in stream:
            if chunk:
                await self.write(chunk)

    async def write(self, chunk: bytes) -> None:
        """Append `chunk`."""
        with translated("write", self.name):
            await self.file.write(chunk)

    async def seek(self, pos: int, whence: int) -> int:
        """Move the position and return it."""
        self.needs("rb", "seek")
        if pos < 0 and whence == 0:
            message = f"seek {self.name!r}: position {pos} lies before the file's beginning"
            raise ValueError(message)
        with translated("seek", self.name):
            return await self.file.seek(pos, whence)

    async def tell(self) -> int:
        """Return the position."""
        self.needs("rb", "tell")
        with translated("tell", self.name):
            return await self.file.tell()

    async def seekable(self) -> bool:
        """Return whether the position can be moved."""
        return await self.file.seekable()

    async def close(self) -> None:
        """Finish the file."""
        with translated("close", self.name):
            await self.file.close()

    async def _read(self) -> bytes:
        with translated("read", self.name):
            return await self.file.read(CHUNK_SIZE)

    def needs(self, mode: Mode, operation: str) -> None:
        """Raise ValueError unless the file was opened with `mode`, which `operation` needs."""
        if self.mode != mode:
            message = f"{operation} {self.name!r}: opened with mode {self.mode!r}; use {mode!r}"
            raise ValueError(message)


def close_all(files: Iterable[OpenFile], logger: Logger | LoggerAdapter[Logger]) -> None:
    """Close `files` before returning; what cannot be closed is logged.

    On an event loop of its own, because the caller may be running on the one it would wait for.
    """
    with start_blocking_portal() as portal:
        portal.call(_close_each, files, logger)


async def _close_each(files: Iterable[OpenFile], logger: Logger | LoggerAdapter[Logger]) -> None:
    with anyio.move_on_after(CLOSE_SECONDS) as scope:
        for file in files:
            try:
                await file.close()
            except (OSError, ValueError, NotImplementedError) as error:
                logger.warning("a file was left open, and cannot be closed: %s", error)
    if scope.cancelled_caught:
        logger.warning("files were left open, and not closed in %d s", CLOSE_SECONDS)
