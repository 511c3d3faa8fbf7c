"""The body of an HTTP response as a byte stream."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import aiohttp
import anyio
from anyio.abc import ObjectStream

from .progress import ProgressAttribute


@dataclass(kw_only=True, eq=False)
class AiohttpStreamReaderStream(ObjectStream[bytes]):
    """Receives what `reader` reads; nothing can be sent.

    `total` is the length that the server announced, in bytes, if it did. The response stays its
    owner's: closing this stream closes nothing else.
    """

    reader: aiohttp.StreamReader
    total: float | None = None

    async def receive(self) -> bytes:
        """Return what has arrived of the body, waiting only while nothing has.

        Raises EndOfStream after the whole body, BrokenResourceError when it is cut short.
        """
        try:
            chunk = await self.reader.readany()
        except aiohttp.ClientError as error:
            raise anyio.BrokenResourceError(str(error)) from error
        if not chunk:
            raise anyio.EndOfStream
        return chunk

    async def send(self, item: bytes) -> None:
        """Raise BrokenResourceError: a response's body goes one way."""
        del item
        raise anyio.BrokenResourceError("the body of an HTTP response cannot be written to")

    async def send_eof(self) -> None:
        """Do nothing: there is nothing to end."""

    async def aclose(self) -> None:
        """Do nothing: the response belongs to whoever made the request."""

    @property
    def extra_attributes(self) -> Mapping[object, Callable[[], object]]:
        """The total for a progress bar, where it is known."""
        if self.total is None:
            return {}
        return {cast("object", ProgressAttribute.total): lambda: self.total}
