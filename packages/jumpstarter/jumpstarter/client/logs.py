"""The exporter's log at the client: each record goes to a local logger named for its source.

Who reads it for a purpose of its own gives another place to go.
"""

import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import grpc
from google.protobuf import empty_pb2
from grpc.aio import AioRpcError
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model.status import LogSource
from jumpstarter.rpc.retry import Backoff
from jumpstarter.streams.background import background_tasks

LOGGERS: Final = {
    LogSource.BEFORE_LEASE_HOOK: "exporter:beforeLease",
    LogSource.AFTER_LEASE_HOOK: "exporter:afterLease",
    LogSource.DRIVER: "exporter:driver",
}
SYSTEM_LOGGER: Final = "exporter:system"

READY_SECONDS: Final = 0.5
"""Seconds to wait for the exporter's word; release 0.9.0 says nothing before its first record."""

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 2.0
TRIES: Final = 10
"""How a broken stream is taken up again: the waits between tries that bring no record."""

KEPT: Final = 1024
"""How many records are known again; an exporter repeats a quarter of that."""

_HOOKS: Final = frozenset({LogSource.BEFORE_LEASE_HOOK, LogSource.AFTER_LEASE_HOOK})
_OVER: Final = frozenset({grpc.StatusCode.CANCELLED, grpc.StatusCode.UNIMPLEMENTED})


Hear = Callable[[logging.LogRecord], None]


def to_local_logger(record: logging.LogRecord) -> None:
    """Hand the record to the local logger of its name, unless that has a higher level."""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


@asynccontextmanager
async def log_stream(
    stub: Any,  # noqa: ANN401 - either generated stub
    *,
    show_all_logs: bool,
    hear: Hear = to_local_logger,
) -> AsyncGenerator[None]:
    """Read the log inside the context; entered once the exporter sends what happens from now on.

    A broken connection is taken up again a bounded number of times; hook records always count.
    """
    ready = anyio.Event()
    async with background_tasks() as tasks:
        tasks.start_soon(_follow, stub, show_all_logs, hear, ready)
        with anyio.move_on_after(READY_SECONDS):
            await ready.wait()
        yield


async def _follow(stub: Any, show_all_logs: bool, hear: Hear, ready: anyio.Event) -> None:  # noqa: ANN401, FBT001 - task arguments
    backoff = Backoff(first_s=FIRST_WAIT_S, longest_s=LONGEST_WAIT_S, tries=TRIES)
    told = _Told()
    try:
        while True:
            call = stub.LogStream(empty_pb2.Empty())
            try:
                await call.initial_metadata()
                ready.set()
                async for record in call:
                    if not told.is_new(record):
                        continue
                    backoff.reset()
                    if show_all_logs or _source(record) in _HOOKS:
                        hear(_record(record))
            except AioRpcError as error:
                if error.code() in _OVER:
                    return
            finally:
                call.cancel()
            if not await backoff.wait():
                return
    finally:
        ready.set()


class _Told:
    """Knows the latest records: an exporter tells them again to whoever comes back."""

    def __init__(self) -> None:
        self._latest: OrderedDict[bytes, None] = OrderedDict()

    def is_new(self, record: jumpstarter_pb2.LogStreamResponse) -> bool:
        # Only its time makes a record another one than that of the same text before it.
        if not record.HasField("timestamp"):
            return True
        key = record.SerializeToString(deterministic=True)
        if key in self._latest:
            return False
        self._latest[key] = None
        if len(self._latest) > KEPT:
            self._latest.popitem(last=False)
        return True


def _source(record: jumpstarter_pb2.LogStreamResponse) -> LogSource:
    return LogSource.from_proto(record.source) if record.HasField("source") else LogSource.SYSTEM


def _record(record: jumpstarter_pb2.LogStreamResponse) -> logging.LogRecord:
    name = LOGGERS.get(_source(record), SYSTEM_LOGGER)
    level = logging.getLevelNamesMapping().get(record.severity, logging.INFO)
    return logging.getLogger(name).makeRecord(name, level, "", 0, record.message, (), None)
