"""What a call that fails is told: the status of each way to fail, and the errors of our client."""

import logging
from collections.abc import AsyncGenerator

import anyio
import grpc
import pytest
from grpc.aio import AioRpcError, Server, StreamStreamCall
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc

from jumpstarter.client import DriverClient
from jumpstarter.client.core import (
    DriverError,
    DriverInvalidArgument,
    DriverMethodNotImplemented,
    ExporterNotReady,
)
from jumpstarter.driver.workers import worker_threads
from jumpstarter.exporter.conftest import Probe, client_for, opened, serve_probe, stub_for
from jumpstarter.exporter.service import SessionService
from jumpstarter.exporter.session import Session
from jumpstarter.model.codes import MAX_DETAILS
from jumpstarter.model.frames import REQUEST_KEY
from jumpstarter.model.requests import DriverStreamRequest
from jumpstarter.model.status import READY, ExporterStatus
from jumpstarter.model.values import encode_value
from jumpstarter.rpc.servers import serve, unix_bind
from jumpstarter.rpc.stub import MultipathExporterStub
from jumpstarter.streams.listeners import TemporarySocket
from jumpstarter.streams.memory import create_memory_stream

Code = grpc.StatusCode


@pytest.fixture
def probe() -> Probe:
    return Probe()


@pytest.fixture
async def stub(probe: Probe) -> AsyncGenerator[MultipathExporterStub]:
    async with serve_probe(probe) as (_, path), stub_for(path) as stub:
        yield stub


@pytest.fixture
async def client(probe: Probe) -> AsyncGenerator[DriverClient]:
    async with serve_probe(probe) as (_, path), client_for(path) as client:
        yield client


async def test_a_socket_that_is_closed_accepts_no_call_that_has_arrived(probe: Probe):
    with Session(root_device=probe) as session, TemporarySocket() as path:
        session.update_status(ExporterStatus.LEASE_READY)
        async with worker_threads() as workers:
            service = SessionService(session, READY, workers)

            def register(server: Server) -> None:
                jumpstarter_pb2_grpc.add_ExporterServiceServicer_to_server(service, server)

            async with serve(register, [unix_bind(path)]), client_for(path) as client:
                assert await client.call_async("echo", 1) == 1
                service.close()
                with pytest.raises(ExporterNotReady):
                    await client.call_async("echo", 1)


async def call(stub: MultipathExporterStub, uuid: str, method: str, *args: object) -> None:
    request = jumpstarter_pb2.DriverCallRequest(
        uuid=uuid, method=method, args=[encode_value(arg) for arg in args]
    )
    await stub.DriverCall(request)


async def streaming_call(
    stub: MultipathExporterStub, uuid: str, method: str, *args: object
) -> None:
    request = jumpstarter_pb2.StreamingDriverCallRequest(
        uuid=uuid, method=method, args=[encode_value(arg) for arg in args]
    )
    async for _ in stub.StreamingDriverCall(request):
        pass


OWN = "the driver's"
OTHER = "5d7e6a8e-0c5f-4a53-8f0e-3b1a0d2f9c11"

REFUSED_CALLS = [
    (OTHER, "echo", Code.NOT_FOUND, f"no driver with uuid {OTHER} in this session"),
    ("not a uuid", "echo", Code.INVALID_ARGUMENT, "badly formed hexadecimal UUID string"),
    ("", "echo", Code.INVALID_ARGUMENT, "badly formed hexadecimal UUID string"),
    (OWN, "absent", Code.NOT_FOUND, "method absent not found on driver"),
    (OWN, "", Code.NOT_FOUND, "method  not found on driver"),
    (OWN, "events", Code.NOT_FOUND, "method events not found on driver"),
    (OWN, "unmarked", Code.NOT_FOUND, "method unmarked missing marker"),
    (OWN, "close", Code.NOT_FOUND, "method close missing marker"),
    (OWN, "connect", Code.NOT_FOUND, "method connect missing marker"),
]


def same(code: Code, details: str, error: AioRpcError) -> bool:
    return error.code() is code and details in (error.details() or "")


@pytest.mark.parametrize(("uuid", "method", "code", "details"), REFUSED_CALLS)
async def test_a_call_that_cannot_be_made(
    stub: MultipathExporterStub, probe: Probe, uuid: str, method: str, code: Code, details: str
):
    for use in (call, streaming_call):
        with pytest.raises(AioRpcError) as caught:
            await use(stub, str(probe.uuid) if uuid == OWN else uuid, method)
        assert same(code, details, caught.value)


async def test_a_call_in_the_wrong_way(stub: MultipathExporterStub, probe: Probe):
    for use, method, marker in (
        (call, "count", "marker_drivercall"),
        (streaming_call, "echo", "marker_streamingdrivercall"),
    ):
        with pytest.raises(AioRpcError) as caught:
            await use(stub, str(probe.uuid), method)
        assert same(Code.NOT_FOUND, f"method {method} missing marker {marker}", caught.value)


FAILURES = [
    ("value", Code.INVALID_ARGUMENT, DriverInvalidArgument, False),
    ("key", Code.UNKNOWN, DriverError, False),
    ("timeout", Code.DEADLINE_EXCEEDED, DriverError, True),
    ("connection", Code.UNAVAILABLE, DriverError, True),
    ("os", Code.INTERNAL, DriverError, True),
    ("exit", Code.UNKNOWN, DriverError, False),
    ("cancelled", Code.UNKNOWN, DriverError, False),
]


@pytest.mark.parametrize(("kind", "code", "error", "has_cause"), FAILURES)
async def test_a_call_that_fails(
    client: DriverClient, kind: str, code: Code, error: type[DriverError], has_cause: bool
):
    for _ in range(2):
        with pytest.raises(DriverError) as caught:
            await client.call_async("fail", kind, "why")
        assert type(caught.value) is error
        assert caught.value.message.startswith(f"DriverCall 'fail' failed with gRPC {code.name}: ")
        assert "why" in caught.value.message
        assert (caught.value.__cause__ is not None) is has_cause
    assert await client.call_async("echo", "still here") == "still here"


async def test_a_driver_that_exits_ends_its_call_and_not_the_exporter(client: DriverClient):
    with pytest.raises(DriverError, match="failed with gRPC UNKNOWN: SystemExit: 3"):
        await client.call_async("leave", 3)
    items = client.streamingcall_async("count_and_leave", 4)
    assert await anext(items) == 4
    with pytest.raises(DriverError, match=r"^SystemExit: 4$"):
        await anext(items)
    assert await client.call_async("echo", "still here") == "still here"


async def test_a_message_that_is_no_text_is_told_all_the_same(probe: Probe):
    # What an error says of a file whose name is not UTF-8; no argument can carry such a text.
    probe.raised = FileNotFoundError("no file named \udcff")
    async with serve_probe(probe) as (_, path), client_for(path) as client:
        with pytest.raises(DriverError, match=r"INTERNAL: no file named \\udcff"):
            await client.call_async("raise_it")


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\n", "%"])
async def test_a_long_message_is_cut_and_keeps_its_status(client: DriverClient, letter: str):
    with pytest.raises(DriverInvalidArgument) as caught:
        await client.call_async("fail", "value", letter * 1_000_000)
    assert letter * 500 in caught.value.message
    assert caught.value.message.endswith(" more bytes)")
    assert len(caught.value.message) < MAX_DETAILS + 100


async def test_the_unforeseen_is_logged_with_its_traceback(
    client: DriverClient, caplog: pytest.LogCaptureFixture
):
    with pytest.raises(DriverError):
        await client.call_async("fail", "key", "why")
    with pytest.raises(DriverInvalidArgument):
        await client.call_async("fail", "value", "no need to tell")
    (record,) = [item for item in caplog.records if item.levelno >= logging.WARNING]
    assert record.getMessage() == "a call failed: 'why'"
    assert record.exc_info


async def test_an_argument_that_cannot_be_sent_is_named(client: DriverClient):
    with pytest.raises(DriverInvalidArgument, match=r"^argument 1 of count: nan has no JSON form"):
        await anext(client.streamingcall_async("count", float("nan")))
    with pytest.raises(DriverError, match="'str' object cannot be interpreted"):
        await anext(client.streamingcall_async("count", "text"))


async def test_our_client_names_what_is_missing(client: DriverClient):
    with pytest.raises(DriverMethodNotImplemented, match="method absent not found on driver"):
        await client.call_async("absent")
    with pytest.raises(DriverError, match=r"^method absent not found on driver"):
        async for _ in client.streamingcall_async("absent"):
            pass


async def test_a_session_that_is_not_ready_is_told_as_such(probe: Probe):
    async with serve_probe(probe) as (session, path), client_for(path) as client:
        session.update_status(session.status.OFFLINE)
        with pytest.raises(ExporterNotReady, match=r"^exporter status is OFFLINE: "):
            await client.call_async("echo", 1)
        with pytest.raises(ExporterNotReady, match=r"^exporter status is OFFLINE: "):
            async with client.stream_async("connect"):
                pass


def raw_stream(stub: MultipathExporterStub, request: str | None) -> StreamStreamCall[bytes, bytes]:
    metadata = () if request is None else ((REQUEST_KEY, request),)
    return stub.RawStream(metadata=metadata)


UNREADABLE = [None, "", "{", "[]", '{"kind": "serial"}', '{"kind": "driver", "uuid": "1"}']


@pytest.mark.parametrize("request_", UNREADABLE)
async def test_a_stream_that_is_not_asked_for_rightly(
    stub: MultipathExporterStub, request_: str | None
):
    call = raw_stream(stub, request_)
    with pytest.raises(AioRpcError) as caught:
        await call.read()
    assert same(Code.INVALID_ARGUMENT, "the metadata", caught.value)
    assert "\n" not in (caught.value.details() or "\n")


@pytest.mark.parametrize(
    ("uuid", "method", "code", "details"),
    [
        (OTHER, "connect", Code.NOT_FOUND, f"no driver with uuid {OTHER} in this session"),
        (OWN, "absent", Code.NOT_FOUND, "method absent not found on driver"),
        (OWN, "echo", Code.NOT_FOUND, "method echo missing marker marker_streamcall"),
        (OWN, "count", Code.NOT_FOUND, "method count missing marker marker_streamcall"),
        (OWN, "connect", Code.UNAVAILABLE, "cannot connect to tcp://127.0.0.1:1"),
        (OWN, "fails", Code.UNAVAILABLE, "cannot connect to tcp://target:1"),
    ],
)
async def test_a_stream_that_cannot_be_opened(
    stub: MultipathExporterStub, probe: Probe, uuid: str, method: str, code: Code, details: str
):
    request = DriverStreamRequest.model_validate(
        {"uuid": probe.uuid if uuid == OWN else uuid, "method": method}
    )
    with pytest.raises(AioRpcError) as caught:
        async with opened(stub, request):
            pytest.fail("the stream was not refused")
    assert same(code, details, caught.value)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("connect", "[Errno 111] cannot connect to tcp://127.0.0.1:1: Connection refused"),
        ("absent", "method absent not found on driver"),
    ],
)
async def test_our_client_is_told_why_a_stream_was_refused(
    client: DriverClient, method: str, message: str
):
    with pytest.raises(DriverError) as caught:
        async with client.stream_async(method):
            pytest.fail("the stream was not refused")
    assert caught.value.message == message


async def test_a_resource_that_nobody_took_is_forgotten(client: DriverClient, probe: Probe):
    with pytest.raises(ZeroDivisionError):
        await offer_and_fail(client, probe)
    # The exporter may hear of it a moment later.
    with anyio.fail_after(5):
        while probe.resources:
            await client.call_async("echo", 1)


async def offer_and_fail(client: DriverClient, probe: Probe) -> None:
    _, stream = create_memory_stream()
    async with client.resource_async(stream) as handle:
        assert [str(uuid) for uuid in probe.resources] == [handle["uuid"]]
        raise ZeroDivisionError
