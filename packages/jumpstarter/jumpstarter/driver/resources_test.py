"""Streams that a client hands to a driver: both directions, compression, and handles refused."""

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from uuid import UUID, uuid4

import anyio
import pytest
from anyio.abc import ObjectStream
from anyio.from_thread import BlockingPortal

from jumpstarter.client import DriverClient
from jumpstarter.client.client import client_from_path
from jumpstarter.driver import Driver, export
from jumpstarter.driver.resources import offer
from jumpstarter.local import serve_async
from jumpstarter.model.errors import DriverError, DriverInvalidArgument
from jumpstarter.model.requests import ResourceStreamRequest
from jumpstarter.streams.compressors import create_decompressor
from jumpstarter.streams.encoding import Compression, create_compressor
from jumpstarter.streams.memory import MemoryStream, create_memory_stream
from jumpstarter.streams.metadata import MetadataStreamAttributes

DATA = os.urandom((5 << 20) + 1)


def zstd(data: bytes) -> bytes:
    compressor = create_compressor(Compression.ZSTD)
    return compressor.compress(data) + compressor.flush()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zstd": zstd,
}


class Store(Driver):
    """Keeps what it reads; writes it back on request."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.data = b""
        self.reading = anyio.Event()
        self.ended: list[str] = []

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    async def upload(self, handle: object) -> int:
        self.data = b""
        try:
            async with self.resource(handle) as stream:
                async for chunk in stream:
                    self.data += chunk
                    self.reading.set()
        except anyio.BrokenResourceError:
            self.ended.append("broken")
            raise
        self.ended.append("complete")
        return len(self.data)

    @export
    async def download(self, handle: object) -> None:
        async with self.resource(handle) as stream:
            await stream.send(self.data)

    @export
    async def echo(self, handle: object) -> None:
        async with self.resource(handle) as stream:
            async for chunk in stream:
                await stream.send(chunk)
            await stream.send_eof()
            self.logger.debug("echoed")

    @export
    async def open_only(self, handle: object) -> None:
        async with self.resource(handle, timeout=1):
            pass


@asynccontextmanager
async def connected(driver: Driver) -> AsyncGenerator[DriverClient]:
    """Serve `driver` on this loop and yield a client of it."""
    async with BlockingPortal() as portal:
        with ExitStack() as stack:
            async with serve_async(driver, portal, stack) as client:
                yield client


def feed(*chunks: bytes) -> ObjectStream[bytes]:
    """Return a stream that has `chunks` and then ends."""
    here, there = create_memory_stream()

    class Fed(MemoryStream):
        pass

    del Fed, here
    return there


async def offered(*chunks: bytes) -> tuple[MemoryStream, MemoryStream]:
    """Return two ends of a stream; the second has been sent `chunks` and the end."""
    here, there = create_memory_stream()
    for chunk in chunks:
        await here.send(chunk)
    await here.send_eof()
    return here, there


async def upload(client: DriverClient, data: bytes, encoding: str | None = None) -> object:
    _, there = await offered(*([data] if data else []))
    async with client.resource_async(there, encoding) as handle:
        return await client.call_async("upload", handle)


async def download(client: DriverClient, encoding: str | None = None) -> bytes:
    here, there = await offered()
    async with client.resource_async(there, encoding) as handle:
        await client.call_async("download", handle)
        return b"".join([chunk async for chunk in here])
