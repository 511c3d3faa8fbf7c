"""Lends bytes in memory to a driver call: a stream that reads from, or writes into, a buffer."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import anyio
from anyio.abc import ObjectStream
from jumpstarter.client import DriverClient
from jumpstarter.client.adapters import blocking
from jumpstarter.streams.forwarding import CHUNK_SIZE
from jumpstarter.streams.progress import ProgressAttribute


@dataclass(eq=False)
class BytesIOStream(ObjectStream[bytes]):
    """Receives from and sends to `buf`, at its position."""

    buf: BytesIO

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The number of bytes in the buffer, which is 0 for one to be written."""
        total = float(self.buf.getbuffer().nbytes)
        return {ProgressAttribute.total: lambda: total} if total else {}

    async def receive(self) -> bytes:
        """Return the next bytes; raises EndOfStream after the last."""
        chunk = self.buf.read(CHUNK_SIZE)
        if not chunk:
            raise anyio.EndOfStream
        return chunk

    async def send(self, item: bytes) -> None:
        """Append `item`."""
        self.buf.write(item)

    async def send_eof(self) -> None:
        """Do nothing: a buffer has no peer."""

    async def aclose(self) -> None:
        """Do nothing: the buffer belongs to the caller."""


def buffer_adapter(
    client: DriverClient, buffer: BytesIO
) -> AbstractContextManager[dict[str, object]]:
    """Return the adapter by which a driver reads what is in `buffer`, or writes into it."""
    return _lent(client=client, buffer=buffer)


@blocking
@asynccontextmanager
async def _lent(*, client: DriverClient, buffer: BytesIO) -> AsyncGenerator[dict[str, object]]:
    async with client.resource_async(BytesIOStream(buffer)) as handle:
        yield handle
