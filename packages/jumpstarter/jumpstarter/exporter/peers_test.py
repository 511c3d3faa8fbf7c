"""Clients of release 0.9.0, in processes of their own, and our exporter."""

import gzip
import hashlib
import json
import random
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from jumpstarter.driver import export
from jumpstarter.exporter.conftest import Probe, echo, peer_environment, serve_probe, until
from jumpstarter.streams.listeners import ConnectionHandler, TemporaryTcpListener
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


async def as_peer(peer: Path, path: Path, use: str, *args: str) -> Any:
    """Return what a client of release 0.9.0 makes of the exporter at `path`."""
    with anyio.fail_after(60):
        done = await anyio.run_process(
            [str(peer), "-c", CLIENT, use, *args],
            stderr=sys.stderr,
            env=peer_environment(JUMPSTARTER_HOST=str(path), JMP_DRIVERS_ALLOW="UNSAFE"),
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
