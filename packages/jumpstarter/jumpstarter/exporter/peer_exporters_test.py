"""Exporters of release 0.9.0, in processes of their own, and our client."""

import hashlib
import random
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import anyio
import pytest
from anyio.abc import ObjectStream
from anyio.streams.buffered import BufferedByteReceiveStream

from jumpstarter.client import DriverClient
from jumpstarter.client.core import DriverError, DriverInvalidArgument, DriverMethodNotImplemented
from jumpstarter.exporter.conftest import client_for, collect, echo, peer_environment, until
from jumpstarter.model.status import ExporterStatus
from jumpstarter.streams.listeners import ConnectionHandler, TemporaryTcpListener
from jumpstarter.streams.memory import create_memory_stream
from jumpstarter.streams.sockets import SocketStream

MIB = 1 << 20

# The first test to ask for the environment of the peer waits until it is made.
pytestmark = pytest.mark.timeout(300)

EXPORTER = """
import asyncio, sys
from contextlib import asynccontextmanager
from jumpstarter.common import ExporterStatus
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.exporter import Session
from jumpstarter_driver_composite.driver import Composite
from jumpstarter_driver_network.driver import TcpNetwork
from jumpstarter_driver_opendal.driver import Opendal

class Probe(Driver):
    @classmethod
    def client(cls):
        return "jumpstarter.client.DriverClient"

    @export
    def echo(self, value):
        return value

    @export
    def fail(self, kind):
        raise {"value": ValueError, "not": NotImplementedError, "key": KeyError}[kind]("why")

    @export
    async def count(self, limit):
        for number in range(int(limit)):
            yield number

    @export
    def log(self, message):
        self.logger.info(message)

folder, port = sys.argv[1], int(sys.argv[2])
probe = Probe(children={
    "tcp": TcpNetwork(host="127.0.0.1", port=port),
    "dead": TcpNetwork(host="127.0.0.1", port=1),
    "storage": Opendal(scheme="fs", kwargs={"root": folder}),
})
with Session(root_device=probe) as session, session.serve_unix() as path:
    session.update_status(ExporterStatus.LEASE_READY)
    print(path, flush=True)
    sys.stdin.read()
"""


@asynccontextmanager
async def theirs(
    peer: Path, folder: Path, handler: ConnectionHandler = echo
) -> AsyncGenerator[DriverClient]:
    """Yield our client of an exporter of release 0.9.0, whose stream leads to `handler`."""
    async with TemporaryTcpListener(handler) as (_, port):
        argv = [str(peer), "-c", EXPORTER, str(folder), str(port)]
        async with await anyio.open_process(
            argv, stderr=sys.stderr, env=peer_environment()
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            line = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 4096)
            async with client_for(line.decode()) as client:
                yield client
            await process.stdin.aclose()


async def test_our_client_calls_its_drivers(peer: Path, tmp_path: Path):
    async with theirs(peer, tmp_path) as client:
        assert await client.call_async("echo", {"a": [1, None]}) == {"a": [1.0, None]}
        items = [item async for item in client.streamingcall_async("count", 300)]
        assert items == list(range(300))
        for kind, error in (
            ("value", DriverInvalidArgument),
            ("not", DriverMethodNotImplemented),
            ("key", DriverError),
        ):
            with pytest.raises(error, match="why"):
                await client.call_async("fail", kind)
        with pytest.raises(DriverMethodNotImplemented, match="absent"):
            await client.call_async("absent")
        assert await client.get_status_async() is ExporterStatus.LEASE_READY
        assert not await client.end_session_async()


async def test_our_client_half_closes_its_stream(peer: Path, tmp_path: Path):
    data = random.Random(9).randbytes(9 * MIB)
    async with (
        theirs(peer, tmp_path) as client,
        client.children["tcp"].stream_async("connect") as stream,
        anyio.create_task_group() as tasks,
    ):

        async def send() -> None:
            await stream.send(data)
            await stream.send_eof()

        tasks.start_soon(send)
        assert hashlib.sha256(await collect(stream)).digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize("greeting", [b"", b"ready"])
async def test_what_our_client_sent_before_it_closed_arrives(
    peer: Path, tmp_path: Path, greeting: bytes
):
    received = bytearray()
    over = anyio.Event()

    async def take(stream: SocketStream) -> None:
        if greeting:
            await stream.send(greeting)
            await stream.send_eof()
        received.extend(await collect(stream))
        over.set()

    async with theirs(peer, tmp_path, take) as client:
        async with client.children["tcp"].stream_async("connect") as stream:
            if greeting:
                assert await collect(stream) == greeting
            await stream.send(b"x" * MIB)
        with anyio.fail_after(10):
            await over.wait()
    assert bytes(received) == b"x" * MIB


async def test_our_client_is_told_why_its_stream_was_refused(peer: Path, tmp_path: Path):
    async with theirs(peer, tmp_path) as client:
        with pytest.raises(DriverError, match=r"ConnectionRefusedError|All connection attempts"):
            async with client.children["dead"].stream_async("connect"):
                pytest.fail("the stream was not refused")


async def offer(
    storage: DriverClient, name: str, mode: Literal["rb", "wb"], stream: ObjectStream[bytes]
) -> None:
    """Let the peer's storage write to a file what `stream` has, or send it what is in there."""
    file = await storage.call_async("open", name, mode)
    method = "file_write" if mode == "wb" else "file_read"
    async with storage.resource_async(stream) as handle:
        await storage.call_async(method, file, handle)
    await storage.call_async("file_close", file)


async def test_our_client_uploads_and_downloads(peer: Path, tmp_path: Path):
    data = random.Random(10).randbytes(3 * MIB)

    async def send(stream: ObjectStream[bytes]) -> None:
        for start in range(0, len(data), 100_000):
            await stream.send(data[start : start + 100_000])
        await stream.send_eof()

    async with theirs(peer, tmp_path) as client:
        storage = client.children["storage"]
        near, far = create_memory_stream()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, near)
            await offer(storage, "file", "wb", far)
        assert (tmp_path / "file").read_bytes() == data
        near, far = create_memory_stream()
        await near.send_eof()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(offer, storage, "file", "rb", far)
            assert await collect(near) == data


async def test_our_client_reads_its_log(
    peer: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    async with theirs(peer, tmp_path) as client, client.log_stream_async():
        await client.call_async("log", "from afar")
        await until(
            lambda: (
                ("exporter:driver", "from afar")
                in [(record.name, record.getMessage()) for record in caplog.records]
            )
        )
