"""A client's stream and its target: every byte and each kind of end reach the other side."""

import hashlib
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import pytest
from anyio import BrokenResourceError, EndOfStream
from anyio.abc import ObjectStream
from grpc import StatusCode
from grpc.aio import EOF, Channel

from jumpstarter.client import DriverClient
from jumpstarter.driver.workers import worker_threads
from jumpstarter.exporter import Session
from jumpstarter.exporter.conftest import (
    Probe,
    client_for,
    collect,
    echo,
    serve_probe,
    stub_for,
)
from jumpstarter.exporter.service import SessionService
from jumpstarter.model.frames import (
    REQUEST_KEY,
    STATE_KEY,
    STATE_OPEN,
    FrameType,
    decode_frame,
    encode_frame,
)
from jumpstarter.model.status import READY, ExporterStatus
from jumpstarter.model.stream_requests import driver_stream_request
from jumpstarter.rpc.conftest import Context, serve_stream, stub_of
from jumpstarter.rpc.opening import RouterApi, connect_stream
from jumpstarter.streams.forwarding import AnyByteStream
from jumpstarter.streams.listeners import ConnectionHandler, TemporaryTcpListener
from jumpstarter.streams.sockets import SocketStream

MIB = 1 << 20


class Target:
    """A TCP service that reads to the end, and keeps what came and how it ended."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.end: type[Exception] | None = None
        self.over = anyio.Event()

    async def __call__(self, stream: SocketStream) -> None:
        try:
            while True:
                self.received += await stream.receive()
        except (EndOfStream, BrokenResourceError) as error:
            self.end = type(error)
            self.over.set()


@asynccontextmanager
async def reaching(handler: ConnectionHandler) -> AsyncGenerator[DriverClient]:
    """Yield a client whose stream `connect` leads to a service that `handler` is."""
    async with (
        TemporaryTcpListener(handler) as target,
        serve_probe(Probe(target=target)) as (_, path),
        client_for(path) as client,
    ):
        yield client


pytestmark = pytest.mark.usefixtures("quiet")


async def test_what_is_sent_before_a_close_arrives_and_then_the_end():
    data, target = random.Random(6).randbytes(8 * MIB), Target()
    async with reaching(target) as client:
        async with client.stream_async("connect") as stream:
            await stream.send(data)
        with anyio.fail_after(10):
            await target.over.wait()
    assert target.end is EndOfStream
    assert hashlib.sha256(target.received).digest() == hashlib.sha256(data).digest()


async def test_a_body_that_raises_resets_the_target():
    target = Target()
    async with reaching(target) as client:
        with pytest.raises(ZeroDivisionError):
            await send_and_fail(client)
        with anyio.fail_after(10):
            await target.over.wait()
    assert target.end is BrokenResourceError


async def test_a_client_that_vanishes_as_soon_as_its_stream_is_open_resets_the_target():
    target = Target()
    async with TemporaryTcpListener(target) as address, worker_threads() as workers:
        with Session(root_device=Probe(target=address)) as session:
            session.update_status(ExporterStatus.LEASE_READY)
            service = SessionService(session, READY, workers)

            async def handle(context: Context) -> None:
                await service.Stream(no_requests(), cast("Any", StuckAfterOpening(context)))

            async with serve_stream(handle) as channel:
                request = driver_stream_request(session.root_device.uuid, "connect")
                with pytest.raises(ZeroDivisionError):
                    await open_and_fail(channel, request)
                with anyio.fail_after(10):
                    await target.over.wait()
    assert target.end is BrokenResourceError


class StuckAfterOpening:
    """A servicer's context in which the client knows of the stream before its handler goes on."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __getattr__(self, name: str) -> object:
        return getattr(self._context, name)

    async def send_initial_metadata(self, metadata: tuple[tuple[str, str], ...]) -> None:
        await self._context.send_initial_metadata(metadata)
        await anyio.sleep_forever()


async def open_and_fail(channel: Channel, request: str) -> None:
    async with connect_stream(stub_of(channel), request):
        raise ZeroDivisionError


async def no_requests() -> AsyncGenerator[bytes]:
    """Yield nothing: the service reads from its context."""
    return
    yield b""  # pyright: ignore[reportUnreachable] - makes it a generator


async def send_and_fail(client: DriverClient) -> None:
    async with client.stream_async("connect") as stream:
        await stream.send(b"some")
        raise ZeroDivisionError


async def test_the_clients_half_close_leaves_the_answer_open():
    async def answer_afterwards(stream: SocketStream) -> None:
        request = await collect(stream)
        for number in range(3):
            await stream.send(b"%d bytes, part %d;" % (len(request), number))
        await stream.send_eof()

    async with (
        reaching(answer_afterwards) as client,
        client.stream_async("connect") as stream,
    ):
        await stream.send(b"request")
        await stream.send_eof()
        answer = await collect(stream)
    assert answer == b"7 bytes, part 0;7 bytes, part 1;7 bytes, part 2;"


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        ((), [FrameType.DATA, FrameType.GOAWAY]),
        (((STATE_KEY, STATE_OPEN),), [FrameType.DATA]),
    ],
    ids=["0.9.0", "ours"],
)
async def test_an_end_that_follows_the_clients_own_is_told_to_ours_by_the_end_of_the_call(
    state: tuple[tuple[str, str], ...], answer: list[FrameType]
):
    async with TemporaryTcpListener(echo) as target:
        probe = Probe(target=target)
        async with serve_probe(probe) as (_, path), stub_for(path) as stub:
            request = driver_stream_request(probe.uuid, "connect")
            call = cast("RouterApi", stub).RawStream(metadata=((REQUEST_KEY, request), *state))
            await call.write(encode_frame(FrameType.DATA, b"some"))
            await call.write(encode_frame(FrameType.GOAWAY, b""))
            kinds: list[int] = []
            while isinstance(message := await call.read(), bytes):
                kinds.append(decode_frame(message).kind)
            assert kinds == answer
            assert await call.code() is StatusCode.OK


async def test_the_targets_half_close_leaves_the_upload_open():
    target = Target()

    async def greet(stream: SocketStream) -> None:
        await stream.send(b"ready")
        await stream.send_eof()
        await target(stream)

    async with reaching(greet) as client:
        async with client.stream_async("connect") as stream:
            assert await collect(stream) == b"ready"
            for _ in range(3):
                await stream.send(bytes(MIB))
        with anyio.fail_after(10):
            await target.over.wait()
    assert (len(target.received), target.end) == (3 * MIB, EndOfStream)


async def test_a_reset_of_the_target_reaches_the_client():
    async def reset(stream: SocketStream) -> None:
        await stream.receive()
        await stream.reset()

    async with reaching(reset) as client:
        with pytest.raises(BrokenResourceError, match=r"^UNAVAILABLE: stream broken: "):
            await send_and_receive(client)


async def send_and_receive(client: DriverClient) -> None:
    async with client.stream_async("connect") as stream:
        await stream.send(b"some")
        await collect(stream)


async def test_sending_to_a_target_that_reset_raises():
    async def reset(stream: SocketStream) -> None:
        await stream.reset()

    async with reaching(reset) as client:
        with pytest.raises(BrokenResourceError):
            await send_for_ever(client)


async def send_for_ever(client: DriverClient) -> None:
    async with client.stream_async("connect") as stream:
        await pour(stream)


async def pour(stream: AnyByteStream) -> None:
    while True:
        await stream.send(bytes(MIB))


async def test_a_target_that_sends_for_ever_is_let_go_when_the_client_closes():
    over = anyio.Event()

    async def flood(stream: SocketStream) -> None:
        with pytest.raises(BrokenResourceError):
            await pour(stream)
        over.set()

    async with reaching(flood) as client:
        async with client.stream_async("connect") as stream:
            await stream.receive()
        with anyio.fail_after(10):
            await over.wait()


async def test_a_target_that_sends_for_ever_is_no_failure_to_a_client_that_is_done():
    async with TemporaryTcpListener(pour) as target:
        probe = Probe(target=target)
        async with serve_probe(probe) as (_, path), stub_for(path) as stub:
            request = driver_stream_request(probe.uuid, "connect")
            call = cast("RouterApi", stub).RawStream(
                metadata=((REQUEST_KEY, request), (STATE_KEY, STATE_OPEN))
            )
            await call.write(encode_frame(FrameType.GOAWAY, b""))
            await call.write(encode_frame(FrameType.RST_STREAM, b""))
            with anyio.fail_after(10):
                while await call.read() is not EOF:
                    pass
                assert await call.code() is StatusCode.OK


async def test_sixty_four_streams_at_once_keep_their_bytes():
    async def exchange(client: DriverClient, number: int) -> None:
        data = random.Random(number).randbytes(random.Random(number).randrange(300_000))
        async with client.stream_async("connect") as stream, anyio.create_task_group() as tasks:
            tasks.start_soon(send_in_parts, stream, data, number)
            assert hashlib.sha256(await collect(stream)).digest() == hashlib.sha256(data).digest()
            done.append(number)

    done: list[int] = []
    async with reaching(echo) as client, anyio.create_task_group() as tasks:
        for number in range(64):
            tasks.start_soon(exchange, client, number)
    assert sorted(done) == list(range(64))


async def send_in_parts(stream: ObjectStream[bytes], data: bytes, seed: int) -> None:
    sizes = random.Random(seed)
    while data:
        size = sizes.randrange(1, 70_000)
        await stream.send(data[:size])
        data = data[size:]
    await stream.send_eof()
