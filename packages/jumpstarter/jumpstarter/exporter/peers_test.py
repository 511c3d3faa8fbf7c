"""Release 0.9.0 at the other end, in a process of its own: its clients here, our client there."""

import gzip
import hashlib
import json
import os
import random
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from anyio.abc import ObjectStream
from anyio.streams.buffered import BufferedByteReceiveStream

from jumpstarter.client import DriverClient
from jumpstarter.client.core import DriverError, DriverInvalidArgument, DriverMethodNotImplemented
from jumpstarter.driver import export
from jumpstarter.exporter.conftest import Probe, client_for, collect, echo, serve_probe, until
from jumpstarter.model.status import ExporterStatus
from jumpstarter.streams.listeners import ConnectionHandler, TemporaryTcpListener
from jumpstarter.streams.memory import create_memory_stream
from jumpstarter.streams.sockets import SocketStream

MIB = 1 << 20

# The first test to ask for the environment of the peer waits until it is made.
pytestmark = pytest.mark.timeout(300)

# What is said on standard output is the peer's; the test reads it as JSON.
CLIENT = """
import hashlib, json, logging, sys, tempfile
from jumpstarter.utils.env import env
from opendal import Operator

class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append([record.name, record.levelname, record.getMessage()])

def failure(function):
    try:
        function()
    except Exception as error:
        return [type(error).__name__, str(error).partition(" (Caused by")[0]]

def calls(client):
    return {
        "echo": client.call("echo", {"a": [1, None, "b", True]}),
        "count": list(client.streamingcall("count", 300)),
        "value": failure(lambda: client.call("fail", "value", "why")),
        "timeout": failure(lambda: client.call("fail", "timeout", "why")),
        "absent": failure(lambda: client.call("absent")),
        "unmarked": failure(lambda: client.call("unmarked")),
    }

def leaving(client):
    items = client.streamingcall("wait")
    first = next(items)
    items.close()
    return first

def exchange(client, data):
    async def talk():
        received = b""
        async with client.stream_async("connect") as stream:
            for start in range(0, len(data), 60_000):
                await stream.send(data[start:start + 60_000])
            await stream.send_eof()
            async for chunk in stream:
                received += chunk
        return received

    return hashlib.sha256(client.portal.call(talk)).hexdigest()

def stream(client):
    return exchange(client, bytes(range(256)) * 10_000)

def sent(client):
    async def send():
        async with client.stream_async("connect") as stream:
            await stream.send(b"x" * 1000)
            assert await stream.receive() == b"got it"

    client.portal.call(send)

def refused(client):
    def talk():
        with client.stream("fails") as stream:
            stream.send(b"a")
            stream.receive()

    return failure(talk) is not None

def stored(client):
    from jumpstarter_driver_opendal.adapter import OpendalAdapter
    folder = Operator("fs", root=sys.argv[2])
    with OpendalAdapter(client=client, operator=folder, path="up") as handle:
        plain = client.call("store", handle)
    with OpendalAdapter(client=client, operator=folder, path="up.gz", compression="gzip") as handle:
        packed = client.call("store", handle)
    with OpendalAdapter(client=client, operator=folder, path="down", mode="wb") as handle:
        client.call("load", handle, 3_000_000)
    return [plain, packed]

def logged(client):
    kept = Kept()
    logger = logging.getLogger()
    logger.addHandler(kept)
    logger.setLevel(logging.INFO)
    with client.log_stream():
        while not [record for record in kept.records if "from afar" in record[2]]:
            client.call("log", "from afar")
    return [record for record in kept.records if "from afar" in record[2]][0]

def ended(client):
    async def ask():
        status = await client.get_status_async()
        return [str(status), await client.end_session_async()]

    return client.portal.call(ask)

with env() as client:
    print(json.dumps(globals()[sys.argv[1]](client)))
"""


class Store(Probe):
    """Takes what a client uploads, and gives what it wants to download."""

    @export
    async def store(self, handle: object) -> str:
        digest = hashlib.sha256()
        async with self.resource(handle) as stream:
            async for chunk in stream:
                digest.update(chunk)
        return digest.hexdigest()

    @export
    async def load(self, handle: object, size: int) -> None:
        async with self.resource(handle) as stream:
            await stream.send(b"y" * size)
            await stream.send_eof()


@pytest.fixture
def peer(peer_interpreter: Path) -> Path:
    return peer_interpreter


def environment(**extra: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("JMP_")}
    return kept | extra


async def as_peer(peer: Path, path: Path, use: str, *args: str) -> Any:
    """Return what a client of release 0.9.0 makes of the exporter at `path`."""
    with anyio.fail_after(60):
        done = await anyio.run_process(
            [str(peer), "-c", CLIENT, use, *args],
            stderr=sys.stderr,
            env=environment(JUMPSTARTER_HOST=str(path), JMP_DRIVERS_ALLOW="UNSAFE"),
        )
    # Before it there may be progress bars.
    return json.loads(done.stdout.splitlines()[-1])


@asynccontextmanager
async def ours(handler: ConnectionHandler = echo) -> AsyncGenerator[tuple[Store, Path]]:
    """Serve our exporter, whose stream leads to `handler`."""
    async with TemporaryTcpListener(handler) as target:
        store = Store(target=target)
        async with serve_probe(store) as (_, path):
            yield store, path


async def test_its_client_calls_our_drivers(peer: Path):
    async with ours() as (_, path):
        found = await as_peer(peer, path, "calls")
    assert found == {
        "echo": {"a": [1.0, None, "b", True]},
        "count": [float(number) for number in range(300)],
        "value": ["DriverInvalidArgument", found["value"][1]],
        "timeout": ["DriverError", found["timeout"][1]],
        "absent": ["DriverMethodNotImplemented", found["absent"][1]],
        "unmarked": ["DriverMethodNotImplemented", found["unmarked"][1]],
    }
    assert "why" in found["value"][1]
    assert "method absent not found on driver" in found["absent"][1]


async def test_its_client_leaves_a_streaming_call(peer: Path):
    async with ours() as (store, path):
        assert await as_peer(peer, path, "leaving") == "waiting"
        await until(lambda: "cleaned up" in store.events)


async def test_its_client_half_closes_a_stream(peer: Path):
    async with ours() as (_, path):
        digest = await as_peer(peer, path, "stream")
    assert digest == hashlib.sha256(bytes(range(256)) * 10_000).hexdigest()


async def test_what_its_client_sent_before_it_left_arrives(peer: Path):
    received = bytearray()

    async def answer(stream: SocketStream) -> None:
        while len(received) < 1000:
            received.extend(await stream.receive())
        await stream.send(b"got it")

    async with ours(answer) as (_, path):
        await as_peer(peer, path, "sent")
    assert bytes(received) == b"x" * 1000


async def test_its_client_sees_that_a_stream_was_refused(peer: Path):
    async with ours() as (_, path):
        assert await as_peer(peer, path, "refused") is True


async def test_its_client_uploads_and_downloads(peer: Path, tmp_path: Path):
    data = random.Random(8).randbytes(3 * MIB)
    (tmp_path / "up").write_bytes(data)
    (tmp_path / "up.gz").write_bytes(gzip.compress(data, 1))
    async with ours() as (store, path):
        digests = await as_peer(peer, path, "stored", str(tmp_path))
        assert store.resources == {}
    assert digests == [hashlib.sha256(data).hexdigest()] * 2
    assert (tmp_path / "down").read_bytes() == b"y" * 3_000_000


async def test_its_client_reads_our_log(peer: Path):
    async with ours() as (_, path):
        name, level, message = await as_peer(peer, path, "logged")
    assert (name, level) == ("exporter:driver", "INFO")
    assert "from afar" in message


async def test_its_client_asks_for_the_status_and_the_end(peer: Path):
    async with ours() as (_, path):
        assert await as_peer(peer, path, "ended") == ["LEASE_READY", False]


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
        async with await anyio.open_process(argv, stderr=sys.stderr, env=environment()) as process:
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
