"""The exporter's log at the client: each record goes to a local logger named for its source."""

import logging
from collections.abc import AsyncGenerator
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

_HOOKS: Final = frozenset({LogSource.BEFORE_LEASE_HOOK, LogSource.AFTER_LEASE_HOOK})
_OVER: Final = frozenset({grpc.StatusCode.CANCELLED, grpc.StatusCode.UNIMPLEMENTED})


@asynccontextmanager
async def log_stream(stub: Any, *, show_all_logs: bool) -> AsyncGenerator[None]:  # noqa: ANN401 - either generated stub
    """Read the log inside the context; entered once the exporter sends what happens from now on.

    A broken connection is taken up again a bounded number of times; hook records always count.
    """
    ready = anyio.Event()
    async with background_tasks() as tasks:
        tasks.start_soon(_follow, stub, show_all_logs, ready)
        with anyio.move_on_after(READY_SECONDS):
            await ready.wait()
        yield


async def _follow(stub: Any, show_all_logs: bool, ready: anyio.Event) -> None:  # noqa: ANN401, FBT001 - task arguments
    backoff = Backoff(first_s=FIRST_WAIT_S, longest_s=LONGEST_WAIT_S, tries=TRIES)
    try:
        while True:
            call = stub.LogStream(empty_pb2.Empty())
            try:
                await call.initial_metadata()
                ready.set()
                async for record in call:
                    backoff.reset()
                    _emit(record, show_all_logs=show_all_logs)
            except AioRpcError as error:
                if error.code() in _OVER:
                    return
            finally:
                call.cancel()
            if not await backoff.wait():
                return
    finally:
        ready.set()


def _emit(record: jumpstarter_pb2.LogStreamResponse, *, show_all_logs: bool) -> None:
    source = LogSource.from_proto(record.source) if record.HasField("source") else LogSource.SYSTEM
    if not show_all_logs and source not in _HOOKS:
        return
    logger = logging.getLogger(LOGGERS.get(source, SYSTEM_LOGGER))
    level = logging.getLevelNamesMapping().get(record.severity, logging.INFO)
    if logger.isEnabledFor(level):
        logger.handle(logger.makeRecord(logger.name, level, "", 0, record.message, (), None))
