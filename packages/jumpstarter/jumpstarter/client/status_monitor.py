"""Watches an exporter's status by asking for it: no call of the protocol tells of a change."""

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self

import anyio
import grpc
from grpc.aio import AioRpcError
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model.status import ExporterStatus
from jumpstarter.rpc.unary import answer
from jumpstarter.streams.background import background_tasks

CALL_SECONDS: Final = 5.0
MAX_SILENT: Final = 20
"""Calls without an answer in a row after which the connection counts as lost."""


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
        silent = 0
        while silent < MAX_SILENT:
            try:
                response = await answer(
                    self._stub.GetStatus(jumpstarter_pb2.GetStatusRequest(), timeout=CALL_SECONDS)
                )
            except AioRpcError as error:
                if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    # An exporter without statuses is one that is always ready.
                    self._set(ExporterStatus.LEASE_READY, "", 0)
                    return
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    break
                silent += 1
                continue
            silent = 0
            self._set(
                ExporterStatus.from_proto(response.status),
                response.message,
                response.status_version,
            )
            await anyio.sleep(self._interval)
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
