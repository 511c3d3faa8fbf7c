"""A file that a client has open on the exporter."""

from dataclasses import dataclass

import opendal
from anyio.abc import ObjectStream
from jumpstarter.streams.forwarding import CHUNK_SIZE

from .common import Mode
from .errors import translated


@dataclass(frozen=True, slots=True)
class OpenFile:
    """An open file and what it was opened as. Losing the last reference frees it, unfinished.

    Methods raise ValueError for what the mode does not allow, and what `translated` raises.
    """

    path: str
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
        with translated("write", self.path):
            await self.file.write(chunk)

    async def seek(self, pos: int, whence: int) -> int:
        """Move the position and return it."""
        self.needs("rb", "seek")
        if pos < 0 and whence == 0:
            message = f"seek {self.path!r}: position {pos} lies before the file's beginning"
            raise ValueError(message)
        with translated("seek", self.path):
            return await self.file.seek(pos, whence)

    async def tell(self) -> int:
        """Return the position."""
        self.needs("rb", "tell")
        with translated("tell", self.path):
            return await self.file.tell()

    async def seekable(self) -> bool:
        """Return whether the position can be moved."""
        return await self.file.seekable()

    async def close(self) -> None:
        """Finish the file."""
        with translated("close", self.path):
            await self.file.close()

    async def _read(self) -> bytes:
        with translated("read", self.path):
            return await self.file.read(CHUNK_SIZE)

    def needs(self, mode: Mode, operation: str) -> None:
        """Raise ValueError unless the file was opened with `mode`, which `operation` needs."""
        if self.mode != mode:
            message = f"{operation} {self.path!r}: opened with mode {self.mode!r}; use {mode!r}"
            raise ValueError(message)
