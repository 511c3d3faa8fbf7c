"""The exporter's log at the client: which logger, which level, and what interrupts it."""

import logging
import threading
from collections.abc import Generator

import anyio
import grpc
import pytest
from google.protobuf import empty_pb2
from grpc.aio import ServicerContext
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc
from typing_extensions import override

from jumpstarter.client import logs
from jumpstarter.client.conftest import serving, stub_of
from jumpstarter.client.logs import log_stream
from jumpstarter.driver import Driver, export
from jumpstarter.local import serve
from jumpstarter.model.errors import DriverInvalidArgument
from jumpstarter.model.status import LogSource

Response = jumpstarter_pb2.LogStreamResponse
Context = ServicerContext[empty_pb2.Empty, Response]


class Records(logging.Handler):
    """Keeps what reaches it, and tells who waits for a certain text."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._awaited: dict[str, threading.Event] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self._event(record.getMessage()).set()

    def wait(self, text: str) -> None:
        assert self._event(text).wait(5), text

    async def arrival(self, text: str) -> None:
        await anyio.to_thread.run_sync(self.wait, text)

    @property
    def lines(self) -> list[tuple[str, str, str]]:
        return [(record.name, record.levelname, record.getMessage()) for record in self.records]

    def _event(self, text: str) -> threading.Event:
        return self._awaited.setdefault(text, threading.Event())


@pytest.fixture
def records() -> Generator[Records]:
    handler = Records()
    loggers = [logging.getLogger(name) for name in (*logs.LOGGERS.values(), logs.SYSTEM_LOGGER)]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler
    for logger in loggers:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def response(
    message: str, severity: str = "WARNING", source: LogSource | None = LogSource.DRIVER
) -> Response:
    number = None if source is None else source.to_proto()
    return Response(message=message, severity=severity, source=number)  # pyright: ignore[reportArgumentType] - the same numbers


class Script(jumpstarter_pb2_grpc.ExporterServiceServicer):
    """Sends to each reader what is meant for it, and breaks off; the last one it keeps."""

    def __init__(self, *readers: list[Response], then: grpc.StatusCode | None = None) -> None:
        self._readers = list(readers)
        self._then = then
        self.opened = 0
        self.exhausted = anyio.Event()

    @override
    async def LogStream(  # pyright: ignore[reportIncompatibleMethodOverride] - writes to the context
        self, request: empty_pb2.Empty, context: Context
    ) -> None:
        self.opened += 1
        if self.opened == 1 + logs.TRIES:
            self.exhausted.set()
        for item in self._readers.pop(0) if self._readers else ():
            await context.write(item)
        if self._readers:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "again")
        if self._then is not None:
            await context.abort(self._then, "no more")
        await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (LogSource.DRIVER, "exporter:driver"),
        (LogSource.SYSTEM, "exporter:system"),
        (LogSource.UNSPECIFIED, "exporter:system"),
        (None, "exporter:system"),
        (LogSource.BEFORE_LEASE_HOOK, "exporter:beforeLease"),
        (LogSource.AFTER_LEASE_HOOK, "exporter:afterLease"),
    ],
)
async def test_logger_by_source(records: Records, source: LogSource | None, name: str):
    script = Script([response("text", source=source)])
    async with (
        serving(script) as path,
        stub_of(path) as stub,
        log_stream(stub, show_all_logs=True),
    ):
        await records.arrival("text")
    assert records.lines == [(name, "WARNING", "text")]


@pytest.mark.parametrize(
    ("severity", "level"),
    [("ERROR", "ERROR"), ("CRITICAL", "CRITICAL"), ("", "INFO"), ("loud", "INFO")],
)
async def test_level_by_severity(records: Records, severity: str, level: str):
    logging.getLogger("exporter:driver").setLevel(logging.INFO)
    script = Script([response("100 % %s", severity)])
    async with (
        serving(script) as path,
        stub_of(path) as stub,
        log_stream(stub, show_all_logs=True),
    ):
        await records.arrival("100 % %s")
    assert records.lines == [("exporter:driver", level, "100 % %s")]


async def test_levels_of_the_loggers_are_kept(records: Records):
    logging.getLogger("exporter:driver").setLevel(logging.WARNING)
    script = Script([response("debug", "DEBUG"), response("info", "INFO"), response("end")])
    async with (
        serving(script) as path,
        stub_of(path) as stub,
        log_stream(stub, show_all_logs=True),
    ):
        await records.arrival("end")
    assert records.lines == [("exporter:driver", "WARNING", "end")]


async def test_only_hooks_where_not_all_is_wanted(records: Records):
    script = Script(
        [
            response("driver", source=LogSource.DRIVER),
            response("system", source=LogSource.SYSTEM),
            response("before", source=LogSource.BEFORE_LEASE_HOOK),
            response("after", source=LogSource.AFTER_LEASE_HOOK),
        ]
    )
    async with (
        serving(script) as path,
        stub_of(path) as stub,
        log_stream(stub, show_all_logs=False),
    ):
        await records.arrival("after")
    assert [text for _, _, text in records.lines] == ["before", "after"]


async def test_a_broken_stream_is_taken_up_again(records: Records):
    script = Script([response("one")], [response("two")])
    async with (
        serving(script) as path,
        stub_of(path) as stub,
        log_stream(stub, show_all_logs=True),
    ):
        await records.arrival("two")
    assert [text for _, _, text in records.lines] == ["one", "two"]


def at(seconds: int, message: str) -> Response:
    """Return a record that says when it was written."""
    record = response(message)
    record.timestamp.FromSeconds(seconds)
    return record


async def test_what_is_told_again_after_a_break_is_heard_once(records: Records):
    before = [at(1, "tick"), at(2, "tick"), at(3, "boot")]
    script = Script(before, [*before, at(4, "tick")], [*before, at(4, "tick"), at(5, "end")])
    async with (
        serving(script) as path,
        stub_of(path) as stub,
        log_stream(stub, show_all_logs=True),
    ):
        await records.arrival("end")
    assert [text for _, _, text in records.lines] == ["tick", "tick", "boot", "tick", "end"]


@pytest.mark.parametrize("status", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.CANCELLED])
async def test_exporter_without_a_log(status: grpc.StatusCode):
    script = Script(then=status)
    async with serving(script) as path, stub_of(path) as stub:
        with anyio.fail_after(5):
            async with log_stream(stub, show_all_logs=True):
                pass
    assert script.opened == 1


async def test_tries_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logs, "LONGEST_WAIT_S", 0.0)
    script = Script(then=grpc.StatusCode.UNAVAILABLE)
    async with serving(script) as path, stub_of(path) as stub:
        with anyio.fail_after(5):
            async with log_stream(stub, show_all_logs=True):
                await script.exhausted.wait()
    assert script.opened == 1 + logs.TRIES


class Talks(Driver):
    """Logs what it is told."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def log(self, text: str) -> None:
        self.logger.warning("%s", text)

    @export
    def fail(self) -> None:
        raise ValueError("no")


def test_records_of_a_driver_arrive(records: Records):
    with serve(Talks()) as client:
        client.call("log", "before")
        with client.log_stream():
            client.call("log", "inside")
            records.wait("inside")
        client.call("log", "after")
    assert ("exporter:driver", "WARNING", "inside") in records.lines
    assert ("exporter:driver", "WARNING", "after") not in records.lines


def test_errors_inside_come_as_themselves():
    with (
        serve(Talks()) as client,
        pytest.raises(DriverInvalidArgument, match="no"),
        client.log_stream(),
    ):
        client.call("fail")
