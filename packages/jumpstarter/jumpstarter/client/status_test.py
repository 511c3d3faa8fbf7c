"""What a client asks an exporter about its state, and what exporters of all kinds answer."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic

import anyio
import grpc
import pytest
from grpc.aio import ServicerContext
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc
from typing_extensions import override

from jumpstarter.client import status
from jumpstarter.client.conftest import serving, stub_of
from jumpstarter.client.core import AsyncDriverClient
from jumpstarter.driver import Driver
from jumpstarter.exporter import Session
from jumpstarter.model.errors import DriverError, ExporterNotReady
from jumpstarter.model.status import ExporterStatus

ALLOWED = {
    ExporterStatus.LEASE_READY,
    ExporterStatus.BEFORE_LEASE_HOOK,
    ExporterStatus.AFTER_LEASE_HOOK,
}
Context = ServicerContext[object, object]


class Nothing(Driver):
    """A driver that does nothing."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"


class Script(jumpstarter_pb2_grpc.ExporterServiceServicer):
    """Answers each question about its status with what comes next, the last one for ever."""

    def __init__(
        self,
        *answers: ExporterStatus | grpc.StatusCode,
        end: bool | grpc.StatusCode = True,
    ) -> None:
        self._answers = list(answers)
        self._end = end
        self.asked = 0

    @override
    async def GetStatus(
        self, request: jumpstarter_pb2.GetStatusRequest, context: Context
    ) -> jumpstarter_pb2.GetStatusResponse:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, grpc.StatusCode):
            await context.abort(answer, "the reason")
        return jumpstarter_pb2.GetStatusResponse(status=answer.to_proto())  # pyright: ignore[reportArgumentType] - the same numbers

    @override
    async def EndSession(
        self, request: jumpstarter_pb2.EndSessionRequest, context: Context
    ) -> jumpstarter_pb2.EndSessionResponse:
        if isinstance(self._end, grpc.StatusCode):
            await context.abort(self._end, "the reason")
        return jumpstarter_pb2.EndSessionResponse(success=self._end)


@asynccontextmanager
async def client_of(script: Script) -> AsyncGenerator[AsyncDriverClient]:
    async with serving(script) as path, stub_of(path) as stub:
        yield AsyncDriverClient(stub=stub)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(status, "POLL_SECONDS", 0)


@pytest.fixture
def session() -> Session:
    return Session(root_device=Nothing())


@pytest.fixture
async def client(session: Session) -> AsyncGenerator[AsyncDriverClient]:
    async with session.serve_unix_async() as path, stub_of(path) as stub:
        yield AsyncDriverClient(stub=stub)


@pytest.mark.parametrize("current", ExporterStatus)
async def test_status_of_a_session(
    session: Session, client: AsyncDriverClient, current: ExporterStatus
):
    session.update_status(current)
    assert await client.get_status_async() is current


@pytest.mark.parametrize("current", set(ExporterStatus) - ALLOWED)
async def test_check_refuses(session: Session, client: AsyncDriverClient, current: ExporterStatus):
    session.update_status(current)
    with pytest.raises(ExporterNotReady, match=f"^exporter status is {current}: it accepts no ca"):
        await client.check_exporter_status()


@pytest.mark.parametrize("current", ALLOWED)
async def test_check_admits(session: Session, client: AsyncDriverClient, current: ExporterStatus):
    session.update_status(current)
    await client.check_exporter_status()


async def test_exporter_without_status_is_asked_once():
    script = Script(grpc.StatusCode.UNIMPLEMENTED)
    async with client_of(script) as client:
        assert await client.get_status_async() is None
        await client.check_exporter_status()
        await client.wait_for_lease_ready()
        assert await client.wait_for_hook_status(ExporterStatus.AVAILABLE) is True
    assert script.asked == 1


async def test_failure_to_answer():
    async with client_of(Script(grpc.StatusCode.UNAVAILABLE)) as client:
        with pytest.raises(DriverError, match="the reason"):
            await client.get_status_async()


async def test_status_of_a_newer_exporter_is_unspecified():
    class Newer(Script):
        @override
        async def GetStatus(
            self, request: jumpstarter_pb2.GetStatusRequest, context: Context
        ) -> jumpstarter_pb2.GetStatusResponse:
            return jumpstarter_pb2.GetStatusResponse(status=99)  # pyright: ignore[reportArgumentType] - of a newer peer

    async with client_of(Newer()) as client:
        assert await client.get_status_async() is ExporterStatus.UNSPECIFIED


@pytest.mark.parametrize(
    "last",
    [
        ExporterStatus.LEASE_READY,
        ExporterStatus.BEFORE_LEASE_HOOK_FAILED,
        ExporterStatus.AFTER_LEASE_HOOK_FAILED,
    ],
)
async def test_waiting_for_a_lease_ends(last: ExporterStatus):
    script = Script(ExporterStatus.AVAILABLE, ExporterStatus.BEFORE_LEASE_HOOK, last)
    async with client_of(script) as client:
        await client.wait_for_lease_ready()
    assert script.asked == 3


@pytest.mark.parametrize(
    ("last", "reached"),
    [
        (ExporterStatus.AVAILABLE, True),
        (ExporterStatus.AFTER_LEASE_HOOK_FAILED, False),
        (ExporterStatus.BEFORE_LEASE_HOOK_FAILED, False),
    ],
)
async def test_waiting_for_a_hook_ends(last: ExporterStatus, reached: bool):
    async with client_of(Script(ExporterStatus.AFTER_LEASE_HOOK, last)) as client:
        assert await client.wait_for_hook_status(ExporterStatus.AVAILABLE) is reached


async def test_failure_of_a_hook_may_be_what_is_waited_for():
    failed = ExporterStatus.AFTER_LEASE_HOOK_FAILED
    async with client_of(Script(ExporterStatus.AFTER_LEASE_HOOK, failed)) as client:
        assert await client.wait_for_hook_status(failed) is True


async def test_waiting_is_bounded():
    async with client_of(Script(ExporterStatus.AVAILABLE)) as client:
        began = monotonic()
        await client.wait_for_lease_ready(timeout=0.05)
        assert await client.wait_for_hook_status(ExporterStatus.OFFLINE, timeout=0.05) is False
        assert monotonic() - began < 5


@pytest.mark.parametrize(
    ("end", "ended"),
    [
        (True, True),
        (False, False),
        (grpc.StatusCode.UNAVAILABLE, True),
        (grpc.StatusCode.CANCELLED, True),
        (grpc.StatusCode.DEADLINE_EXCEEDED, True),
        (grpc.StatusCode.UNKNOWN, True),
        (grpc.StatusCode.UNIMPLEMENTED, False),
        (grpc.StatusCode.INTERNAL, False),
    ],
)
async def test_ending_the_session(end: bool | grpc.StatusCode, ended: bool):
    async with client_of(Script(ExporterStatus.LEASE_READY, end=end)) as client:
        assert await client.end_session_async() is ended


async def test_ending_a_session_of_no_lease(client: AsyncDriverClient):
    assert await client.end_session_async() is False


async def test_ending_a_session_of_a_lease(session: Session, client: AsyncDriverClient):
    session.end_requested = anyio.Event()
    assert await client.end_session_async() is True
    assert session.end_requested.is_set()


async def test_status_known_by_the_monitor(client: AsyncDriverClient):
    assert client.status is None
    async with client.status_monitor_async(poll_interval=0) as monitor:
        await monitor.wait_for_status(ExporterStatus.AVAILABLE, timeout=5)
        assert client.status is ExporterStatus.AVAILABLE
    assert client.status is None


async def test_waiting_with_the_monitor(session: Session, client: AsyncDriverClient):
    async with client.status_monitor_async(poll_interval=0), anyio.create_task_group() as tasks:
        tasks.start_soon(client.wait_for_lease_ready_monitored, 5.0)
        session.update_status(ExporterStatus.LEASE_READY)


@pytest.mark.parametrize(
    ("last", "completed"),
    [(ExporterStatus.AVAILABLE, True), (ExporterStatus.AFTER_LEASE_HOOK_FAILED, False)],
)
async def test_waiting_for_the_end_of_the_hook_with_the_monitor(
    session: Session, client: AsyncDriverClient, last: ExporterStatus, completed: bool
):
    session.update_status(ExporterStatus.AFTER_LEASE_HOOK)
    async with client.status_monitor_async(poll_interval=0) as monitor:
        await monitor.wait_for_status(ExporterStatus.AFTER_LEASE_HOOK, timeout=5)
        assert await client.wait_for_hook_complete_monitored(timeout=0.05) is False
        session.update_status(last)
        assert await client.wait_for_hook_complete_monitored(timeout=5) is completed


@pytest.mark.parametrize(
    "wait",
    [
        AsyncDriverClient.wait_for_lease_ready_monitored,
        AsyncDriverClient.wait_for_hook_complete_monitored,
    ],
)
async def test_waiting_without_a_monitor(
    client: AsyncDriverClient, wait: Callable[[AsyncDriverClient], Awaitable[object]]
):
    with pytest.raises(RuntimeError, match="no status monitor is running"):
        await wait(client)


async def test_a_method_named_status_is_no_hindrance(client: AsyncDriverClient):
    class HasStatus(AsyncDriverClient):
        def status(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] - clients of others have it
            return "on"

    mine = HasStatus(stub=client.stub)
    async with mine.status_monitor_async(poll_interval=0) as monitor:
        assert await monitor.wait_for_status(ExporterStatus.AVAILABLE, timeout=5)
        assert mine.status() == "on"
        assert await mine.get_status_async() is ExporterStatus.AVAILABLE
