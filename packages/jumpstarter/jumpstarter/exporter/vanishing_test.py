"""A client that is killed: its target is told, and the exporter keeps nothing of it."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from grpc.aio import insecure_channel
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc

from jumpstarter.driver import export
from jumpstarter.exporter.carry_test import Target
from jumpstarter.exporter.conftest import Probe, client_for, open_files, serve_probe, until
from jumpstarter.exporter.session import Session
from jumpstarter.model.status import ExporterStatus
from jumpstarter.streams.listeners import TemporaryTcpListener
from jumpstarter.streams.sockets import SocketStream

LARGE = 32 << 20
"""More bytes than gRPC sends to a client that does not read."""

CLIENT = """
import sys, anyio
from contextlib import ExitStack
from anyio.from_thread import BlockingPortal
from jumpstarter.client import client_from_path
from jumpstarter.streams.memory import create_memory_stream

async def upload(client):
    async with client.stream_async("connect") as stream:
        await stream.send(b"some")
        await tell()

async def half_closed(client):
    async with client.stream_async("connect") as stream:
        await stream.send(b"some")
        await stream.send_eof()
        await tell()

async def download(client):
    async with client.stream_async("connect") as stream:
        await stream.receive()
        await tell()

async def offer(client):
    _, stream = create_memory_stream()
    async with client.resource_async(stream):
        await tell()

async def items(client):
    async for _ in client.streamingcall_async("wait"):
        await tell()

async def log(client):
    async with client.log_stream_async():
        await tell()

async def call(client):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_async, "sleep")
        await client.call_async("echo", 1)
        await tell()

async def tell():
    print("ready", flush=True)
    await anyio.sleep_forever()

async def main(path, use):
    async with BlockingPortal() as portal:
        with ExitStack() as stack:
            async with client_from_path(path, portal, stack, [], True) as client:
                await globals()[use](client)

anyio.run(main, *sys.argv[1:])
"""


@asynccontextmanager
async def client_process(path: Path, use: str) -> AsyncGenerator[Process]:
    """Yield a client in a process of its own, in the middle of what it does."""
    argv = [sys.executable, "-c", CLIENT, str(path), use]
    async with await anyio.open_process(argv, stderr=None) as process:
        assert process.stdout is not None
        assert await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 80) == b"ready"
        yield process
        if process.returncode is None:
            process.kill()


class Held:
    """What this process holds, to be compared with what it holds later."""

    def __init__(self) -> None:
        self.files = open_files()
        self.tasks = len(asyncio.all_tasks())

    def is_again(self) -> bool:
        """Return whether no more is held than there was."""
        return open_files() <= self.files and len(asyncio.all_tasks()) <= self.tasks


@asynccontextmanager
async def used_exporter(probe: Probe) -> AsyncGenerator[tuple[Path, Held]]:
    """Yield the socket of an exporter, and what it holds without a client."""
    async with serve_probe(probe) as (_, path):
        unused = Held()
        # What gRPC makes once for the process is there before the count.
        async with client_for(path) as client:
            await client.call_async("echo", 1)
            assert not unused.is_again()
        # The thread that made the call waits for the next.
        unused.tasks += 1
        await until(unused.is_again)
        yield path, Held()


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("use", ["upload", "download", "offer", "items", "log", "call"])
async def test_nothing_is_kept_of_a_client_that_was_killed(use: str):
    async def talk(stream: SocketStream) -> None:
        await stream.send(b"hello")
        while True:
            await stream.receive()

    async with TemporaryTcpListener(talk) as target:
        probe = Probe(target=target)
        async with used_exporter(probe) as (path, before):
            async with client_process(path, use) as process:
                assert not before.is_again()
                process.kill()
                assert await process.wait() == -signal.SIGKILL
            await until(before.is_again)
            assert probe.resources == {}
            assert ("cleaned up" in probe.events) is (use == "items")


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("use", "end"), [("upload", anyio.BrokenResourceError), ("half_closed", anyio.EndOfStream)]
)
async def test_the_target_of_a_client_that_was_killed_sees_how_it_ended(
    use: str, end: type[Exception]
):
    service = Target()
    async with (
        TemporaryTcpListener(service) as target,
        serve_probe(Probe(target=target)) as (_, path),
        client_process(path, use) as process,
    ):
        await until(lambda: bytes(service.received) == b"some")
        process.kill()
        assert await process.wait() == -signal.SIGKILL
        with anyio.fail_after(10):
            await service.over.wait()
    assert (bytes(service.received), service.end) == (b"some", end)


async def test_many_clients_that_come_and_go_leave_nothing():
    async def use(path: Path) -> None:
        async with client_for(path) as client, client.stream_async("connect") as stream:
            await stream.send(b"some")

    async with (
        TemporaryTcpListener(Target()) as target,
        used_exporter(Probe(target=target)) as (path, before),
    ):
        for _ in range(20):
            await use(path)
        await until(before.is_again)


@pytest.mark.usefixtures("quiet")
async def test_clients_that_vanish_while_they_are_answered_are_no_failure():
    begun = anyio.Event()

    class Large(Probe):
        @export
        async def large(self) -> AsyncIterator[str]:
            begun.set()
            yield "x" * LARGE

    driver = Large()
    request = jumpstarter_pb2.StreamingDriverCallRequest(uuid=str(driver.uuid), method="large")
    with Session(root_device=driver) as session:
        session.update_status(ExporterStatus.LEASE_READY)
        async with (
            session.serve_tcp_async("127.0.0.1", 0) as port,
            insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            stub = jumpstarter_pb2_grpc.ExporterServiceStub(channel)
            for _ in range(10):
                begun = anyio.Event()
                call = stub.StreamingDriverCall(request)
                await begun.wait()
                await anyio.wait_all_tasks_blocked()
                call.cancel()
