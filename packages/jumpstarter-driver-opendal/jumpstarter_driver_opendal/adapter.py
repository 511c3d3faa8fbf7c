"""Lends a file of any storage service to a driver call, from the client's side.

Where the service can sign a request the exporter transfers the bytes by itself; else they are
streamed through the client.
"""

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
from anyio.abc import ObjectStream
from jumpstarter.client import DriverClient
from jumpstarter.client.adapters import blocking
from jumpstarter.common.resources import PresignedRequestResource
from jumpstarter.streams.encoding import Compression
from jumpstarter.streams.forwarding import CHUNK_SIZE
from jumpstarter.streams.progress import ProgressAttribute
from opendal import AsyncFile, Operator, PresignedRequest

from .common import Mode, PathBuf
from .service import Service
from .sources import LocalEnd

PRESIGNED_SECONDS = 60
"""How long the exporter may take to begin a transfer with a signed request."""


class Sized(Protocol):
    """What is needed of a file's metadata."""

    @property
    def content_length(self) -> int:
        """The number of bytes in the file."""
        ...


@dataclass(eq=False)
class AsyncFileStream(ObjectStream[bytes]):
    """The bytes of an open file: receiving reads it, sending writes it, closing finishes it.

    With `metadata` the stream tells its total size, for a progress bar.
    """

    file: AsyncFile
    metadata: Sized | None = None
    _readable: bool | None = field(default=None, init=False)

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The total size in bytes, where it is known; services say 0 where it is not."""
        if self.metadata is None or not self.metadata.content_length:
            return {}
        total = float(self.metadata.content_length)
        return {ProgressAttribute.total: lambda: total}

    async def receive(self) -> bytes:
        """Return the next bytes of the file; raises EndOfStream after the last.

        A file that is open for writing has none.
        """
        if self._readable is None:
            self._readable = await self.file.readable()
        chunk = await self.file.read(CHUNK_SIZE) if self._readable else b""
        if not chunk:
            raise anyio.EndOfStream
        return chunk

    async def send(self, item: bytes) -> None:
        """Append `item` to the file."""
        await self.file.write(item)

    async def send_eof(self) -> None:
        """Do nothing: closing the file finishes it."""

    async def aclose(self) -> None:
        """Finish the file; idempotent."""
        await self.file.close()


def OpendalAdapter(  # noqa: N802 - adapters are named like classes
    *,
    client: DriverClient,
    operator: Operator,
    path: PathBuf,
    mode: Mode = "rb",
    compression: Compression | None = None,
    original_url: str | None = None,
) -> AbstractContextManager[dict[str, object]]:
    """Yield the handle by which a driver reads (`rb`) or writes (`wb`) the file at `path`.

    `compression` says how the file is compressed; the driver sees it plain. With `original_url`
    the exporter fetches that address as it stands. Raises ValueError for an address together with
    a compression or with writing, and what `Service` raises for the file.
    """
    return lend(client, LocalEnd(operator, path, mode, compression, original_url))


def lend(client: DriverClient, end: LocalEnd) -> AbstractContextManager[dict[str, object]]:
    """Do as `OpendalAdapter` with all that `end` says."""
    return _lent(client=client, end=end)


@blocking
@asynccontextmanager
async def _lent(*, client: DriverClient, end: LocalEnd) -> AsyncGenerator[dict[str, object]]:
    service = Service(end.operator.to_async_operator())
    name = os.fspath(end.path)
    if end.url is not None:
        _refuse_unless_plain_read(end.url, end.mode, end.compression)
        yield _handle(end.url, "GET", {})
    elif not end.compression and (request := await _presigned(service, name, end.mode)):
        yield _handle(request.url, request.method, request.headers)
    else:
        stream = await _open_stream(service, name, end)
        async with client.resource_async(stream, content_encoding=end.compression) as handle:
            yield handle


def _refuse_unless_plain_read(url: str, mode: Mode, compression: Compression | None) -> None:
    if mode != "rb":
        message = f"original_url {url}: can only be read, not opened with mode {mode!r}"
        raise ValueError(message)
    if compression is not None:
        message = f"original_url {url}: the exporter fetches it as it is; omit 'compression'"
        raise ValueError(message)


def _handle(url: str, method: str, headers: Mapping[str, str]) -> dict[str, object]:
    return PresignedRequestResource.model_validate(
        {"url": url, "method": method, "headers": headers}
    ).model_dump(mode="json")


async def _presigned(service: Service, name: str, mode: Mode) -> PresignedRequest | None:
    """Return a signed request for the transfer, or None when the service does not sign."""
    capability = service.capability()
    if mode == "rb" and capability.presign_read:
        return await service.presign_read(name, PRESIGNED_SECONDS)
    if mode == "wb" and capability.presign_write:
        return await service.presign_write(name, PRESIGNED_SECONDS)
    return None


async def _open_stream(service: Service, name: str, end: LocalEnd) -> AsyncFileStream:
    metadata = await service.stat(name) if end.mode == "rb" else end.expected
    return AsyncFileStream(await service.open(name, end.mode), metadata)
