"""The log of an exporter: every reader gets every record, whatever it is and whoever wrote it."""

import logging
import queue
import re
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from logging.handlers import QueueHandler
from typing import Any

import pytest
from anyio import to_thread
from google.protobuf import empty_pb2
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.exporter import Session
from jumpstarter.exporter.conftest import Probe, stub_for
from jumpstarter.exporter.logging import (
    HISTORY,
    MAX_TEXT,
    get_logger,
    record_source,
    record_to_response,
)
from jumpstarter.local import serve
from jumpstarter.model.status import LogSource
from jumpstarter.rpc.stub import MultipathExporterStub

LOGGER = logging.getLogger("driver.Test")
LOGGER.setLevel(logging.INFO)

Response = jumpstarter_pb2.LogStreamResponse


@asynccontextmanager
async def session() -> AsyncGenerator[tuple[Session, MultipathExporterStub]]:
    with Session(root_device=Probe()) as session:
        async with session.serve_unix_async() as path, stub_for(path) as stub:
            yield session, stub


class Reader:
    """Reads one stream of records."""

    def __init__(self, stub: MultipathExporterStub) -> None:
        self.call = stub.LogStream(empty_pb2.Empty())

    async def started(self) -> "Reader":
        await self.call.initial_metadata()
        return self

    async def until(self, message: str) -> list[Response]:
        """Return the records before the one that says `message`."""
        found: list[Response] = []
        while (record := await self.call.read()).message != message:
            assert isinstance(record, Response)
            found.append(record)
        return found


async def test_every_reader_gets_every_record():
    async with session() as (_, stub):
        readers = [await Reader(stub).started() for _ in range(3)]
        for number in range(200):
            LOGGER.info("record %d", number)
        LOGGER.info("end")
        for reader in readers:
            messages = [record.message for record in await reader.until("end")]
            assert messages == [f"record {number}" for number in range(200)]
            reader.call.cancel()


async def test_records_of_many_threads_all_arrive():
    def write(name: str) -> None:
        for number in range(100):
            LOGGER.info("%s %d", name, number)

    async with session() as (_, stub):
        reader = await Reader(stub).started()
        threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            await to_thread.run_sync(thread.join)
        LOGGER.info("end")
        messages = [record.message for record in await reader.until("end")]
        reader.call.cancel()
    assert sorted(messages) == sorted(
        f"{name} {number}" for name in "abcd" for number in range(100)
    )
    for name in "abcd":
        own = [message for message in messages if message.startswith(name)]
        assert own == [f"{name} {number}" for number in range(100)]


async def test_a_new_reader_is_first_told_the_last_records():
    async with session() as (_, stub):
        for number in range(HISTORY + 10):
            LOGGER.info("record %d", number)
        reader = await Reader(stub).started()
        LOGGER.info("end")
        messages = [record.message for record in await reader.until("end")]
        reader.call.cancel()
    assert messages == [f"record {number}" for number in range(10, HISTORY + 10)]


async def test_a_reader_that_left_takes_nothing_from_the_others():
    async with session() as (_, stub):
        first, second = await Reader(stub).started(), await Reader(stub).started()
        first.call.cancel()
        for number in range(50):
            LOGGER.info("record %d", number)
        LOGGER.info("end")
        assert len(await second.until("end")) == 50
        second.call.cancel()


async def test_nothing_is_collected_outside_a_session():
    handlers = list(logging.getLogger().handlers)
    async with session():
        assert len(logging.getLogger().handlers) == len(handlers) + 1
    assert logging.getLogger().handlers == handlers


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("driver.Power", LogSource.DRIVER),
        ("driver.", LogSource.DRIVER),
        ("drivers", LogSource.SYSTEM),
        ("driver", LogSource.SYSTEM),
        ("jumpstarter.exporter", LogSource.SYSTEM),
        ("", LogSource.SYSTEM),
        ("hook.beforeLease", LogSource.BEFORE_LEASE_HOOK),
        ("hook.beforeLease.step", LogSource.BEFORE_LEASE_HOOK),
        ("hook.beforeLease.step.last", LogSource.AFTER_LEASE_HOOK),
        ("driver.Mine", LogSource.SYSTEM),
    ],
)
def test_the_longest_known_prefix_names_the_source(name: str, source: LogSource):
    sources = {
        "hook.beforeLease": LogSource.BEFORE_LEASE_HOOK,
        "hook.beforeLease.step.last": LogSource.AFTER_LEASE_HOOK,
        "driver.Mine": LogSource.SYSTEM,
    }
    assert record_source(name, sources) is source


async def test_sources_are_told_to_readers():
    async with session() as (own, stub):
        reader = await Reader(stub).started()
        logger = get_logger("test.hook", LogSource.AFTER_LEASE_HOOK, own)
        logger.warning("from the hook")
        LOGGER.info("from the driver")
        logging.getLogger("test.other").warning("from elsewhere")
        logging.getLogger("test.other").warning("end")
        found = {record.message: record.source for record in await reader.until("end")}
        reader.call.cancel()
    assert found == {
        "from the hook": LogSource.AFTER_LEASE_HOOK,
        "from the driver": LogSource.DRIVER,
        "from elsewhere": LogSource.SYSTEM,
    }


@pytest.mark.parametrize("before", [None, LogSource.DRIVER])
def test_a_source_for_a_while(before: LogSource | None):
    session = Session(root_device=Probe())
    if before is not None:
        session.add_logger_source("test.logger", before)
    with session.context_log_source("test.logger", LogSource.BEFORE_LEASE_HOOK):
        assert record_source("test.logger", session.sources) is LogSource.BEFORE_LEASE_HOOK
    expected = LogSource.SYSTEM if before is None else before
    assert record_source("test.logger", session.sources) is expected


def record(message: object, *args: Any, level: int = logging.INFO, **extra: object) -> Response:
    """Return what readers are told about a record of a driver."""
    made = LOGGER.makeRecord(LOGGER.name, level, __file__, 1, message, args, None, extra=extra)
    return record_to_response(made, {})


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (logging.DEBUG, "DEBUG"),
        (logging.INFO, "INFO"),
        (logging.WARNING, "WARNING"),
        (logging.ERROR, "ERROR"),
        (logging.CRITICAL, "CRITICAL"),
    ],
)
def test_severity_is_the_name_of_the_level(level: int, severity: str):
    assert record("text", level=level).severity == severity


def test_a_record_has_a_time_and_may_have_an_operation():
    made = LOGGER.makeRecord(LOGGER.name, logging.INFO, "", 0, "text", (), None)
    assert abs(record_to_response(made, {}).timestamp.ToMicroseconds() / 1e6 - made.created) < 1e-5
    told = record("text", driver_type="power", operation="on", other="x")
    assert (told.driver_type, told.operation) == ("power", "on")
    assert not record("text", driver_type=3).HasField("driver_type")


def failed_record() -> logging.LogRecord:
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 / 0
    failure = (caught.type, caught.value, caught.tb)
    return LOGGER.makeRecord(LOGGER.name, logging.ERROR, "", 0, "failed", (), failure)


def test_a_traceback_follows_the_text():
    text = record_to_response(failed_record(), {}).message
    assert text.startswith("failed\nTraceback (most recent call last):\n")
    assert text.endswith("ZeroDivisionError: division by zero")


class Untold:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("message", "args", "text"),
    [
        ("%d parts", ("two",), "a record of .*logging_test.py:1 cannot be told: TypeError"),
        ("%s and %s", ("one",), "a record of .*logging_test.py:1 cannot be told: TypeError"),
        ("%s", (Untold(),), "a record of .*logging_test.py:1 cannot be told: RuntimeError"),
        (Untold(), (), "a record of .*logging_test.py:1 cannot be told: RuntimeError"),
        ("%(name)s", ({"other": 1},), "a record of .*logging_test.py:1 cannot be told: KeyError"),
        ("file \udcff", (), r"file \\udcff"),
        (17, (), "17"),
        ("", (), ""),
        ("x" * (MAX_TEXT + 1), (), r"x{1048576}\.\.\. \(1 more bytes\)"),
    ],
)
def test_a_record_that_is_odd_is_told_as_well_as_can_be(
    message: object, args: tuple[object, ...], text: str
):
    assert re.fullmatch(text, record(message, *args).message)


async def test_an_odd_record_does_not_end_the_stream():
    async with session() as (_, stub):
        reader = await Reader(stub).started()
        LOGGER.info("file %s", "\udcff")
        LOGGER.info("x" * 5_000_000)
        LOGGER.info("end")
        assert len(await reader.until("end")) == 2
        reader.call.cancel()


@pytest.fixture
def relayed() -> Iterator["queue.SimpleQueue[logging.LogRecord]"]:
    """What the loggers of a client are told, whatever the source."""
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handler = QueueHandler(records)
    loggers = [logging.getLogger(name) for name in ("exporter:driver", "exporter:system")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    yield records
    for logger in loggers:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def test_a_client_in_the_same_process_is_told_once(
    relayed: "queue.SimpleQueue[logging.LogRecord]",
):
    with serve(Probe()) as client, client.log_stream():
        found: list[str] = []
        for message in ("first", "second", "last"):
            client.call("log", message)
            while not found or found[-1] != message:
                found.append(relayed.get(timeout=5).getMessage())
    assert [message for message in found if message in ("first", "second")] == ["first", "second"]
