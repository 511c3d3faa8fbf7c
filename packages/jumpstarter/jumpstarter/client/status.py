"""What a client asks an exporter about its state: status, readiness, the end of the session."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import grpc
from grpc.aio import AioRpcError
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model.errors import ExporterNotReady
from jumpstarter.model.status import READY_OR_HOOK, ExporterStatus

from .errors import cause, stream_error
from .status_monitor import StatusMonitor

END_SESSION_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.5

_GONE: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)
_FAILED: Final = frozenset(
    {ExporterStatus.BEFORE_LEASE_HOOK_FAILED, ExporterStatus.AFTER_LEASE_HOOK_FAILED}
)


class StatusCalls:
    """The part of a driver client that speaks of the exporter, not of the driver."""

    stub: Any

    async def get_status_async(self) -> ExporterStatus | None:
        """Return the exporter's status, or None for one that has no such call."""
        try:
            response = await self.stub.GetStatus(jumpstarter_pb2.GetStatusRequest())
        except AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return None
            raise stream_error(error) from cause(error)
        return ExporterStatus.from_proto(response.status)

    async def check_exporter_status(self) -> None:
        """Raise ExporterNotReady when the exporter's status admits no calls."""
        status = await self.get_status_async()
        if status is not None and status not in READY_OR_HOOK:
            message = f"exporter status is {status}: it accepts no calls now"
            raise ExporterNotReady(message)

    async def wait_for_lease_ready(self, timeout: float = 300.0) -> None:  # noqa: ASYNC109 - public API
        """Return when calls are accepted, when a hook failed, or after `timeout` seconds."""
        with anyio.move_on_after(timeout):
            await self._poll({ExporterStatus.LEASE_READY} | _FAILED)

    async def wait_for_hook_status(
        self,
        target_status: ExporterStatus,
        timeout: float = 60.0,  # noqa: ASYNC109 - public API
    ) -> bool:
        """Return whether the exporter reached `target_status` within `timeout` seconds."""
        with anyio.move_on_after(timeout):
            return await self._poll({target_status} | _FAILED) in {target_status, None}
        return False

    async def end_session_async(self) -> bool:
        """Ask the exporter to end the session; return whether it does.

        An exporter that is gone by then has ended it.
        """
        try:
            response = await self.stub.EndSession(
                jumpstarter_pb2.EndSessionRequest(), timeout=END_SESSION_SECONDS
            )
        except AioRpcError as error:
            return error.code() in _GONE or (error.code() is grpc.StatusCode.UNKNOWN)
        return bool(response.success)

    @asynccontextmanager
    async def status_monitor_async(
        self, poll_interval: float = 0.3
    ) -> AsyncGenerator[StatusMonitor]:
        """Yield a monitor that asks for the status every `poll_interval` seconds."""
        async with StatusMonitor(self.stub, poll_interval) as monitor:
            yield monitor

    async def _poll(self, wanted: set[ExporterStatus]) -> ExporterStatus | None:
        """Return the first status in `wanted`, or None from an exporter that has no status."""
        while True:
            status = await self.get_status_async()
            if status is None or status in wanted:
                return status
            # The protocol has no call that tells of a change.
            await anyio.sleep(POLL_SECONDS)
