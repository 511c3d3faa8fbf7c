"""Resources: streams and HTTP requests that a client hands to a driver as call arguments.

A client opens a stream to the driver first; the stream waits here under its id until the call that
names it arrives. It can be taken once, and only from the driver that it was offered to.
"""

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from anyio import BrokenResourceError
from anyio.abc import ObjectStream

from jumpstarter.model.requests import (
    ClientStreamResource,
    PresignedRequestResource,
    ResourceStreamRequest,
    parse_resource,
)
from jumpstarter.streams.encoding import Compression, compress_stream
from jumpstarter.streams.memory import MemoryStream, create_memory_stream
from jumpstarter.streams.metadata import metadata_attributes

from .presigned import presigned_stream

RESOURCE_TIMEOUT: Final = 7200
"""Seconds that an HTTP transfer may take in all."""

SUPPORTED_CONTENT_ENCODINGS: Final[frozenset[str]] = (
    frozenset()
    if os.environ.get("JMP_DISABLE_COMPRESSION") == "1"
    else frozenset(item.value for item in Compression)
)
"""Encodings that the exporter undoes itself; elsewhere the client does."""


@dataclass(eq=False)
class OfferedStream(ObjectStream[bytes]):
    """The client's end of an offered stream: its metadata is the answer to the offer."""

    stream: MemoryStream
    metadata: Mapping[str, str]

    @property
    def extra_attributes(self) -> Mapping[object, Callable[[], object]]:
        """The metadata for the client."""
        return metadata_attributes(self.metadata)

    async def send(self, item: bytes) -> None:
        """Pass `item` to the driver; an empty one means nothing in a stream of bytes.

        What a driver that has closed its end no longer wants is dropped: its call says whether it
        had enough.
        """
        if item:
            with suppress(BrokenResourceError):
                await self.stream.send(item)

    async def receive(self) -> bytes:
        """Return the next bytes that the driver wrote."""
        return await self.stream.receive()

    async def send_eof(self) -> None:
        """Tell the driver that it has everything."""
        await self.stream.send_eof()

    async def aclose(self) -> None:
        """Close both directions."""
        await self.stream.aclose()

    async def reset(self) -> None:
        """Let the driver see a failure: the client vanished before it had sent everything."""
        await self.stream.reset()


@asynccontextmanager
async def offer(
    resources: dict[UUID, ObjectStream[bytes]], request: ResourceStreamRequest
) -> AsyncGenerator[OfferedStream]:
    """Keep a stream for the call that will name it; yield the client's end.

    The metadata of the yielded stream tells the client the handle, and whether compressed bytes are
    undone here.
    """
    encoding = request.x_jmp_content_encoding
    if encoding not in SUPPORTED_CONTENT_ENCODINGS:
        encoding = None
    near, far = create_memory_stream()
    handle = ClientStreamResource(uuid=uuid4(), x_jmp_content_encoding=encoding)
    metadata = {"resource": handle.model_dump_json()}
    if encoding is not None:
        metadata["x_jmp_accept_encoding"] = encoding
    resources[handle.uuid] = far
    async with near:
        try:
            yield OfferedStream(near, metadata)
        finally:
            resources.pop(handle.uuid, None)


@asynccontextmanager
async def open_resource(
    resources: dict[UUID, ObjectStream[bytes]], handle: object, timeout_s: float
) -> AsyncGenerator[ObjectStream[bytes]]:
    """Yield the byte stream that `handle`, an argument of a call, stands for.

    Raises ValueError for a handle that is malformed, unknown or used up; TimeoutError after
    `timeout_s` seconds of an HTTP transfer.
    """
    match parse_resource(handle):
        case ClientStreamResource(uuid=uuid, x_jmp_content_encoding=encoding):
            compression = Compression(encoding) if encoding else None
            offered = resources.pop(uuid, None)
            if offered is None:
                message = f"resource {uuid}: no such stream on this driver, or already used"
                raise ValueError(message)
            async with compress_stream(offered, compression) as stream:
                yield stream
        case PresignedRequestResource() as request:
            async with presigned_stream(request, timeout_s) as stream:
                yield stream
