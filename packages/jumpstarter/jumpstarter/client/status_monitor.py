"""Watches an exporter's status: an exporter of ours tells of each change, others are asked.

The protocol has no call that tells. But a question may say which version it knows, and then an
exporter of ours answers it when there is another.
"""

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import anyio
import grpc
from grpc.aio import AioRpcError
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model.status import HOLD_SECONDS, STATUS_AFTER_KEY, ExporterStatus
from jumpstarter.rpc.unary import answer
from jumpstarter.streams.background import background_tasks

CALL_SECONDS: Final = 5.0
SILENT_SECONDS: Final = 100.0
"""Seconds without any answer after which the connection counts as lost."""


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """What an exporter says of its status, and whether it has told, or was only asked."""

    response: jumpstarter_pb2.GetStatusResponse
    told: bool

    @property
    def status(self) -> ExporterStatus:
        """The status."""
        return ExporterStatus.from_proto(self.response.status)

    @property
    def version(self) -> int:
        """The number of the change that led to it."""
        return self.response.status_version


async def ask_status(
    stub: Any,  # noqa: ANN401 - either generated stub
    known: int | None,
    timeout: float | None = None,  # noqa: ASYNC109 - that of the call
) -> StatusAnswer:
    """Return the status, if the exporter can as soon as its version is not `known`.

    Raises AioRpcError.
    """
    metadata = () if known is None else ((STATUS_AFTER_KEY, str(known)),)
    call = stub.GetStatus(jumpstarter_pb2.GetStatusRequest(), timeout=timeout, metadata=metadata)
    response = await answer(call)
    held = known is not None and STATUS_AFTER_KEY in dict(await call.initial_metadata())
    return StatusAnswer(response, held)


class StatusMonitor(AbstractAsyncContextManager["StatusMonitor"]):
    """The last known status; `wait_for_any_of` returns when it is one of those asked for."""

    def __init__(self, stub: Any, poll_interval: float = 0.3) -> None:  # noqa: ANN401 - either generated stub
        """Ask through `stub` every `poll_interval` seconds."""
        self._stub = stub
        self._interval = poll_interval
        self._changed = anyio.Event()
        self._stack = AsyncExitStack()
        self.current_status: ExporterStatus | None = None
        self.status_message = ""
        self.version = 0
        self.connection_lost = False

    async def __aenter__(self) -> Self:
        """Begin to ask."""
        tasks = await self._stack.enter_async_context(background_tasks())
        tasks.start_soon(self._watch)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        """Stop asking."""
        return await self._stack.__aexit__(exc_type, exc_val, exc_tb)

    async def wait_for_any_of(
        self,
        targets: list[ExporterStatus],
        timeout: float | None = None,  # noqa: ASYNC109 - public API
    ) -> ExporterStatus | None:
        """Return the status once it is in `targets`.

        None when the connection is lost or `timeout` seconds have passed.
        """
        with anyio.move_on_after(timeout):
            while not self.connection_lost:
                if self.current_status in targets:
                    return self.current_status
                await self._changed.wait()
        return None

    async def wait_for_status(
        self,
        target: ExporterStatus,
        timeout: float | None = None,  # noqa: ASYNC109 - public API
    ) -> bool:
        """Return whether the status became `target` within `timeout` seconds."""
        return await self.wait_for_any_of([target], timeout) is target

    async def _watch(self) -> None:
        silent, known = 0.0, None
        while silent < SILENT_SECONDS:
            seconds = CALL_SECONDS + (0 if known is None else HOLD_SECONDS)
            try:
                found = await ask_status(self._stub, known, seconds)
            except AioRpcError as error:
                if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    # An exporter without statuses is one that is always ready.
                    self._set(ExporterStatus.LEASE_READY, "", 0)
                    return
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    break
                silent += seconds
                continue
            silent = 0.0
            self._set(found.status, found.response.message, found.version)
            if known is not None and not found.told:
                await anyio.sleep(self._interval)
            known = found.version
        self.connection_lost = True
        self._notify()

    def _set(self, status: ExporterStatus, message: str, version: int) -> None:
        changed = status is not self.current_status or version != self.version
        self.current_status, self.status_message, self.version = status, message, version
        if changed:
            self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
