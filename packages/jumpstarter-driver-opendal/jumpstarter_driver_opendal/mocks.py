"""Drivers without hardware: what is flashed to them is kept in temporary files until they close."""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import anyio
from anyio.abc import ObjectStream
from jumpstarter.driver import Driver, export
from jumpstarter.streams.forwarding import CHUNK_SIZE

from .interfaces import FlasherInterface, StorageMuxFlasherInterface, StorageMuxInterface


@dataclass(kw_only=True)
class TemporaryFiles:
    """Named files in a temporary directory, which exists from the first use until `clear`."""

    directory: TemporaryDirectory[str] | None = None

    async def store(self, name: str, stream: ObjectStream[bytes]) -> None:
        """Make the file `name` of what `stream` receives."""
        async with await anyio.open_file(self._path(name), "wb") as file:
            async for chunk in stream:
                await file.write(chunk)

    async def fetch(self, name: str, stream: ObjectStream[bytes]) -> None:
        """Send the content of the file `name`; raises FileNotFoundError when there is none."""
        path = self._path(name)
        if not await anyio.Path(path).exists():
            message = f"nothing has been written to {name!r} yet; write an image first"
            raise FileNotFoundError(message)
        async with await anyio.open_file(path, "rb") as file:
            while chunk := await file.read(CHUNK_SIZE):
                await stream.send(chunk)

    def clear(self) -> None:
        """Remove all files."""
        if self.directory is not None:
            self.directory.cleanup()
            self.directory = None

    def _path(self, name: str) -> Path:
        if self.directory is None:
            self.directory = TemporaryDirectory(prefix="jumpstarter-")
        return Path(self.directory.name) / f"image-{quote(name, safe='')}"


@dataclass
class MockFlasher(FlasherInterface, Driver):
    """A flasher that remembers the last image of each partition."""

    files: TemporaryFiles = field(default_factory=TemporaryFiles, init=False, repr=False)

    @export
    async def flash(self, source: object, target: str | None = None) -> None:
        """Keep the bytes of the handle `source` as partition `target`, or the default one."""
        async with self.resource(source) as stream:
            await self.files.store(target or "default", stream)

    @export
    async def dump(self, target: object, partition: str | None = None) -> None:
        """Write what was flashed to `partition` to the handle `target`.

        Raises FileNotFoundError when nothing was.
        """
        async with self.resource(target) as stream:
            await self.files.fetch(partition or "default", stream)

    def close(self) -> None:
        """Forget all images."""
        self.files.clear()
        super().close()


@dataclass
class MockStorageMux(StorageMuxInterface, Driver):
    """A storage multiplexer that logs where it would connect its storage, a temporary file."""

    files: TemporaryFiles = field(default_factory=TemporaryFiles, init=False, repr=False)

    @export
    async def host(self) -> None:
        """Log the connection to the host."""
        self.logger.info("storage connected to the host")

    @export
    async def dut(self) -> None:
        """Log the connection to the device under test."""
        self.logger.info("storage connected to the device under test")

    @export
    async def off(self) -> None:
        """Log the disconnection."""
        self.logger.info("storage disconnected")

    @export
    async def write(self, src: str) -> None:
        """Keep the bytes of the handle `src`."""
        async with self.resource(src) as stream:
            await self.files.store("storage", stream)

    @export
    async def read(self, dst: str) -> None:
        """Write what was kept to the handle `dst`; raises FileNotFoundError for nothing."""
        async with self.resource(dst) as stream:
            await self.files.fetch("storage", stream)

    def close(self) -> None:
        """Forget what was written."""
        self.files.clear()
        super().close()


@dataclass
class MockStorageMuxFlasher(StorageMuxFlasherInterface, MockStorageMux):
    """The same multiplexer for clients that flash."""
