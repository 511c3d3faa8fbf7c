"""Streams that a client hands to a driver: both directions, compression, and how they end."""

import bz2
import gzip
import json
import lzma
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.from_thread import BlockingPortal

from jumpstarter.client import DriverClient, client_from_path
from jumpstarter.driver import Driver, export
from jumpstarter.driver.resources import offer
from jumpstarter.exporter import Session
from jumpstarter.model.errors import DriverError
from jumpstarter.model.requests import ResourceStreamRequest
from jumpstarter.model.status import ExporterStatus
from jumpstarter.streams.encoding import Compression, create_compressor, create_decompressor
from jumpstarter.streams.memory import MemoryStream, create_memory_stream
from jumpstarter.streams.metadata import MetadataStreamAttributes

DATA = os.urandom((5 << 20) + 1)
IMAGE = os.urandom(1 << 16) + bytes(1 << 21)


def zstd(data: bytes) -> bytes:
    compressor = create_compressor(Compression.ZSTD)
    return compressor.compress(data) + compressor.flush()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zstd": zstd,
}

ENCODINGS = pytest.mark.parametrize("encoding", COMPRESS)

OFFER_AND_STAY = """
import sys
from contextlib import ExitStack

import anyio
from anyio.from_thread import BlockingPortal
from jumpstarter.client import client_from_path
from jumpstarter.model.stream_requests import resource_stream_request
from jumpstarter.streams.memory import create_memory_stream


async def main():
    here, there = create_memory_stream()
    async with BlockingPortal() as portal:
        with ExitStack() as stack:
            async with client_from_path(sys.argv[1], portal, stack, [], True) as client:
                async with client.resource_async(there) as handle:
                    await here.send(b"half")
                    print(handle["uuid"], flush=True)
                    await anyio.sleep_forever()


anyio.run(main)
"""

SERVE_WITHOUT_COMPRESSION = """
import sys

import anyio
from anyio import to_thread
from jumpstarter.driver import Driver, export
from jumpstarter.exporter import Session
from jumpstarter.model.status import ExporterStatus


class Plain(Driver):
    data = b""

    @classmethod
    def client(cls):
        return "jumpstarter.client.DriverClient"

    @export
    async def upload(self, handle: dict) -> str:
        async with self.resource(handle) as stream:
            self.data = b"".join([chunk async for chunk in stream])
        return str(handle["x_jmp_content_encoding"])

    @export
    async def download(self, handle: dict) -> None:
        async with self.resource(handle) as stream:
            await stream.send(self.data)


async def main():
    with Session(root_device=Plain()) as session:
        session.update_status(ExporterStatus.LEASE_READY)
        async with session.serve_unix_async() as path:
            print(path, flush=True)
            await to_thread.run_sync(sys.stdin.read)


anyio.run(main)
"""


class Store(Driver):
    """Keeps what it reads, and writes it back on request."""

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


@asynccontextmanager
async def serving(driver: Driver) -> AsyncGenerator[Path]:
    with Session(root_device=driver) as session:
        session.update_status(ExporterStatus.LEASE_READY)
        async with session.serve_unix_async() as path:
            yield path


@asynccontextmanager
async def connected(path: Path | str) -> AsyncGenerator[DriverClient]:
    async with BlockingPortal() as portal:
        with ExitStack() as stack:
            async with client_from_path(path, portal, stack, [], unsafe=True) as client:
                yield client


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def client(store: Store) -> AsyncGenerator[DriverClient]:
    async with serving(store) as path, connected(path) as client:
        yield client


async def filled(*chunks: bytes) -> tuple[MemoryStream, MemoryStream]:
    """Return two ends of a stream; the second has been sent `chunks` and the end."""
    here, there = create_memory_stream()
    for chunk in chunks:
        await here.send(chunk)
    await here.send_eof()
    return here, there


async def upload(client: DriverClient, *chunks: bytes, encoding: str | None = None) -> object:
    _, there = await filled(*chunks)
    async with client.resource_async(there, encoding) as handle:
        return await client.call_async("upload", handle)


async def download(client: DriverClient, encoding: str | None = None) -> bytes:
    here, there = await filled()
    async with client.resource_async(there, encoding) as handle:
        await client.call_async("download", handle)
        return b"".join([chunk async for chunk in here])


@pytest.mark.parametrize("chunks", [[], [b"x"], [DATA], [b"a", b"", b"b"]])
async def test_the_driver_reads_what_the_client_has(
    store: Store, client: DriverClient, chunks: list[bytes]
):
    assert await upload(client, *chunks) == sum(map(len, chunks))
    assert store.data == b"".join(chunks)
    assert store.ended == ["complete"]


@pytest.mark.parametrize("data", [b"", b"x", DATA])
async def test_the_client_receives_what_the_driver_writes(
    store: Store, client: DriverClient, data: bytes
):
    store.data = data
    assert await download(client) == data


async def test_both_directions_at_once(client: DriverClient):
    here, there = create_memory_stream()
    async with client.resource_async(there) as handle, anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_async, "echo", handle)
        for chunk in (b"one", b"two", b"three"):
            await here.send(chunk)
            assert await here.receive() == chunk
        await here.send_eof()
        with pytest.raises(anyio.EndOfStream):
            await here.receive()


@ENCODINGS
async def test_the_driver_reads_plain_what_the_client_has_compressed(
    store: Store, client: DriverClient, encoding: str
):
    assert await upload(client, COMPRESS[encoding](IMAGE), encoding=encoding) == len(IMAGE)
    assert store.data == IMAGE


@ENCODINGS
async def test_the_client_receives_compressed_what_the_driver_writes(
    store: Store, client: DriverClient, encoding: str
):
    store.data = IMAGE
    compressed = await download(client, encoding)
    pieces = create_decompressor(Compression(encoding)).pieces(compressed)
    assert b"".join(pieces) == IMAGE


@ENCODINGS
async def test_compressed_data_that_ends_too_early_is_an_error(
    store: Store, client: DriverClient, encoding: str
):
    with pytest.raises(DriverError, match="upload"):
        await upload(client, COMPRESS[encoding](IMAGE)[:-20], encoding=encoding)
    assert "complete" not in store.ended


@ENCODINGS
async def test_the_client_compresses_for_an_exporter_that_does_not(encoding: str):
    environment = {**os.environ, "JMP_DISABLE_COMPRESSION": "1"}
    argv = [sys.executable, "-c", SERVE_WITHOUT_COMPRESSION]
    async with await anyio.open_process(argv, env=environment, stderr=None) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        path = (await process.stdout.receive()).decode().strip()
        async with connected(path) as client:
            assert await upload(client, COMPRESS[encoding](IMAGE), encoding=encoding) == "None"
            assert await download(client) == IMAGE
            compressed = await download(client, encoding)
            pieces = create_decompressor(Compression(encoding)).pieces(compressed)
            assert b"".join(pieces) == IMAGE
        await process.stdin.aclose()
    assert process.returncode == 0


async def test_a_client_that_vanishes_breaks_the_stream(store: Store):
    async with serving(store) as path, connected(path) as client, AsyncExitStack() as stack:
        argv = [sys.executable, "-c", OFFER_AND_STAY, str(path)]
        process = await stack.enter_async_context(await anyio.open_process(argv, stderr=None))
        assert process.stdout is not None
        uuid = (await process.stdout.receive()).decode().strip()

        async def vanish() -> None:
            await store.reading.wait()
            process.kill()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(vanish)
            with pytest.raises(DriverError, match="UNAVAILABLE: stream broken"):
                await client.call_async("upload", {"kind": "client_stream", "uuid": uuid})
    assert (store.data, store.ended) == (b"half", ["broken"])


async def test_a_client_that_breaks_off_breaks_the_stream(store: Store, client: DriverClient):
    here, there = create_memory_stream()
    await here.send(b"half")

    async def call(handle: dict[str, object]) -> None:
        with pytest.raises(DriverError, match="stream broken"):
            await client.call_async("upload", handle)

    async with anyio.create_task_group() as tasks:

        async def break_off() -> None:
            async with client.resource_async(there) as handle:
                tasks.start_soon(call, handle)
                await store.reading.wait()
                raise LookupError

        with pytest.raises(LookupError):
            await break_off()
    assert store.ended == ["broken"]


@pytest.mark.parametrize("encoding", [*COMPRESS, None, "rar", ""])
async def test_the_answer_to_an_offer(encoding: str | None):
    store = Store()
    request = ResourceStreamRequest(uuid=store.uuid, x_jmp_content_encoding=encoding)
    accepted = encoding if encoding in COMPRESS else None
    async with offer(store.resources, request) as stream:
        metadata = dict(stream.extra(MetadataStreamAttributes.metadata))
        (uuid,) = store.resources
        assert json.loads(metadata.pop("resource")) == {
            "kind": "client_stream",
            "uuid": str(uuid),
            "x_jmp_content_encoding": accepted,
        }
        assert metadata == ({} if accepted is None else {"x_jmp_accept_encoding": accepted})
    assert store.resources == {}
