"""Sessions: who may call when, what they tell of themselves, and how they begin and end."""

import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import grpc
import pytest
from anyio import to_thread
from google.protobuf import empty_pb2
from grpc.aio import AioRpcError
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.exporter import Session
from jumpstarter.exporter.conftest import Probe, client_for, opened, serve_probe, stub_for
from jumpstarter.model.metadata import CLIENT_LABEL, NAME_LABEL
from jumpstarter.model.requests import DriverStreamRequest, ResourceStreamRequest
from jumpstarter.model.status import ExporterStatus
from jumpstarter.model.values import encode_value
from jumpstarter.rpc.stub import MultipathExporterStub
from jumpstarter.streams.listeners import TemporaryTcpListener

Use = Callable[[MultipathExporterStub, Probe], Awaitable[None]]


async def call(stub: MultipathExporterStub, probe: Probe) -> None:
    await stub.DriverCall(
        jumpstarter_pb2.DriverCallRequest(
            uuid=str(probe.uuid), method="echo", args=[encode_value(1)]
        )
    )


async def streaming_call(stub: MultipathExporterStub, probe: Probe) -> None:
    request = jumpstarter_pb2.StreamingDriverCallRequest(
        uuid=str(probe.uuid), method="count", args=[encode_value(2)]
    )
    assert len([item async for item in stub.StreamingDriverCall(request)]) == 2


async def driver_stream(stub: MultipathExporterStub, probe: Probe) -> None:
    async with opened(stub, DriverStreamRequest(uuid=probe.uuid, method="connect")):
        pass


async def resource_stream(stub: MultipathExporterStub, probe: Probe) -> None:
    async with opened(stub, ResourceStreamRequest(uuid=probe.uuid)):
        pass


USES = [call, streaming_call, driver_stream, resource_stream]
CLIENT_MAY = [ExporterStatus.LEASE_READY]
HOOK_MAY = [*CLIENT_MAY, ExporterStatus.BEFORE_LEASE_HOOK, ExporterStatus.AFTER_LEASE_HOOK]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("may", [CLIENT_MAY, HOOK_MAY], ids=["client", "hook"])
async def test_the_status_decides_who_may_call(use: Use, may: list[ExporterStatus]):
    async with TemporaryTcpListener(lambda stream: stream.receive()) as target:
        probe = Probe(target=target)
        with Session(root_device=probe) as session:
            async with (
                session.serve_unix_with_hook_socket_async() as sockets,
                stub_for(sockets[may is HOOK_MAY]) as stub,
            ):
                for status in ExporterStatus:
                    session.update_status(status)
                    if status in may:
                        await use(stub, probe)
                    else:
                        await refused(use, stub, probe, f"exporter status is {status.name}: ")


async def refused(use: Use, stub: MultipathExporterStub, probe: Probe, words: str) -> None:
    with pytest.raises(AioRpcError) as caught:
        await use(stub, probe)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert (caught.value.details() or "").startswith(words)


@pytest.mark.parametrize("use", USES)
async def test_a_session_begins_closed(use: Use):
    probe = Probe()
    with Session(root_device=probe) as session:
        async with session.serve_unix_async() as path, stub_for(path) as stub:
            await refused(use, stub, probe, "exporter status is AVAILABLE: ")


async def test_status_report_and_log_can_be_read_in_every_status():
    with Session(root_device=Probe()) as session:
        async with (
            session.serve_unix_with_hook_socket_async() as (path, _),
            stub_for(path) as stub,
        ):
            for status in ExporterStatus:
                session.update_status(status)
                answer = await stub.GetStatus(jumpstarter_pb2.GetStatusRequest())
                assert answer.status == status
                assert len((await stub.GetReport(empty_pb2.Empty())).reports) == 1
                log = stub.LogStream(empty_pb2.Empty())
                await log.initial_metadata()
                log.cancel()


async def test_changes_of_the_status_are_numbered():
    with Session(root_device=Probe()) as session:
        async with session.serve_unix_async() as path, stub_for(path) as stub:
            first = await stub.GetStatus(jumpstarter_pb2.GetStatusRequest())
            assert (first.status, first.message) == (ExporterStatus.AVAILABLE, "")
            assert first.status_version == 0
            assert not first.HasField("previous_status")
            session.update_status(ExporterStatus.BEFORE_LEASE_HOOK, "running")
            session.update_status(ExporterStatus.LEASE_READY, "go")
            third = await stub.GetStatus(jumpstarter_pb2.GetStatusRequest())
            assert (third.status, third.message) == (ExporterStatus.LEASE_READY, "go")
            assert third.status_version == 2
            assert third.previous_status == ExporterStatus.BEFORE_LEASE_HOOK
    assert session.status is ExporterStatus.LEASE_READY


async def test_the_report_describes_the_tree():
    child = Probe(labels={"rack": "7"}, description="a child", methods_description={"on": "go"})
    parent = Probe(children={"child": child})
    root = Probe(labels={"jumpstarter.dev/name": "bench"}, children={"parent": parent})
    with Session(root_device=root, labels={"site": "lab"}, motd="welcome") as session:
        async with session.serve_unix_async() as path, stub_for(path) as stub:
            report = await stub.GetReport(empty_pb2.Empty())
    assert report.uuid == str(session.uuid)
    assert dict(report.labels) == {"site": "lab"}
    assert report.motd == "welcome"
    rows = [
        (item.uuid, item.parent_uuid, dict(item.labels), item.description)
        for item in report.reports
    ]
    path_of_client = {CLIENT_LABEL: Probe.client()}
    assert rows == [
        (str(root.uuid), "", {NAME_LABEL: "bench", **path_of_client}, ""),
        (str(parent.uuid), str(root.uuid), {NAME_LABEL: "parent", **path_of_client}, ""),
        (
            str(child.uuid),
            str(parent.uuid),
            {NAME_LABEL: "child", "rack": "7", **path_of_client},
            "a child",
        ),
    ]
    assert not report.reports[0].HasField("parent_uuid")
    assert dict(report.reports[2].methods_description) == {"on": "go"}


async def test_drivers_are_found_by_their_uuid():
    child = Probe()
    session = Session(root_device=Probe(children={"child": child}))
    assert session[child.uuid] is child
    assert list(session.mapping) == [session.root_device.uuid, child.uuid]
    with pytest.raises(KeyError):
        _ = session[session.uuid]


async def test_ending_a_session_needs_a_lease():
    with Session(root_device=Probe()) as session:
        async with session.serve_unix_async() as path, stub_for(path) as stub:
            answer = await stub.EndSession(jumpstarter_pb2.EndSessionRequest())
            assert (answer.success, answer.message) == (False, "No active lease context")
            session.end_requested = anyio.Event()
            answer = await stub.EndSession(jumpstarter_pb2.EndSessionRequest())
            assert (answer.success, answer.message) == (True, "")
            assert session.end_requested.is_set()


async def test_drivers_are_reset_at_the_beginning_and_closed_at_the_end():
    probe = Probe(children={"child": (child := Probe())})
    with Session(root_device=probe) as session:
        assert (probe.events, child.events) == (["reset"], ["reset"])
        async with session.serve_unix_async():
            pass
        assert (probe.events, child.events) == (["reset"], ["reset"])
    assert (probe.events, child.events) == (["reset", "close"], ["reset", "close"])


class Unclosable(Probe):
    """Fails to close, after its children have."""

    def close(self) -> None:
        super().close()
        raise RuntimeError("stuck relay")


def test_an_error_in_closing_one_driver_hinders_no_other(caplog: pytest.LogCaptureFixture):
    good, last = Probe(), Probe()
    root = Probe(children={"bad": Unclosable(children={"good": good}), "last": last})
    with Session(root_device=root):
        pass
    assert [probe.events[-1] for probe in (root, good, last)] == ["close"] * 3
    assert "closing the drivers failed" in caplog.text
    assert "RuntimeError: stuck relay" in caplog.text


class Unresettable(Probe):
    """Fails to reset."""

    def reset(self) -> None:
        raise RuntimeError("no power")


def test_a_driver_that_cannot_be_reset_ends_the_session_before_it_began():
    probe = Unresettable()
    handlers = list(logging.getLogger().handlers)
    with pytest.raises(RuntimeError, match="no power"), Session(root_device=probe):
        pytest.fail("the session began")
    assert probe.events == ["close"]
    assert logging.getLogger().handlers == handlers


async def test_drivers_are_closed_when_the_last_call_has_cleaned_up():
    probe = Probe()
    async with serve_probe(probe) as (_, path), stub_for(path) as stub:
        calls = stub.StreamingDriverCall(
            jumpstarter_pb2.StreamingDriverCallRequest(uuid=str(probe.uuid), method="wait")
        )
        await calls.read()
    assert probe.events == ["reset", "cleaned up", "close"]


def test_a_thread_can_serve_a_session():
    with Session(root_device=Probe()) as session, session.serve_unix() as path:
        assert path.is_socket()
    assert not path.exists()


async def test_a_port_of_tcp_is_told_or_refused():
    with Session(root_device=Probe()) as session:
        async with session.serve_tcp_async("127.0.0.1", 0) as port:
            assert await to_thread.run_sync(is_listening, "127.0.0.1", port)
            with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: is it in use"):
                async with session.serve_tcp_async("127.0.0.1", port):
                    pytest.fail("the port was not refused")
        assert not await to_thread.run_sync(is_listening, "127.0.0.1", port)
        async with session.serve_tcp_async("::1", 0) as port:
            assert await to_thread.run_sync(is_listening, "::1", port)


def is_listening(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port)).close()
    except ConnectionRefusedError:
        return False
    return True


async def test_a_path_may_have_signs_that_mean_something_in_an_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    runtime = tmp_path / "run%41 #1?"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    with Session(root_device=Probe()) as session:
        session.update_status(ExporterStatus.LEASE_READY)
        async with session.serve_unix_async() as path, client_for(path) as client:
            assert path.is_socket()
            assert path.is_relative_to(runtime)
            assert await client.call_async("echo", "hello") == "hello"


async def test_addresses_in_the_form_of_grpc(tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    with Session(root_device=Probe()) as session:
        session.update_status(ExporterStatus.LEASE_READY)
        async with session.serve_port_async(f"unix://{one}"), client_for(one) as client:
            assert await client.call_async("echo", "hello") == "hello"
        async with session.serve_multi_port_async(f"unix://{one}", f"unix://{two}"):
            for path in (one, two):
                async with client_for(path) as client:
                    assert await client.call_async("echo", "hello") == "hello"
