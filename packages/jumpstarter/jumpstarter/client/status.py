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
from jumpstarter.rpc.unary import answer

from .errors import cause, stream_error
from .status_monitor import StatusAnswer, StatusMonitor, ask_status

END_SESSION_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.5

_GONE: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        # What gRPC makes of a connection that is removed under a call.
        grpc.StatusCode.UNKNOWN,
    }
)
_FAILED: Final = frozenset(
    {ExporterStatus.BEFORE_LEASE_HOOK_FAILED, ExporterStatus.AFTER_LEASE_HOOK_FAILED}
)
_READY_OR_FAILED: Final = _FAILED | {ExporterStatus.LEASE_READY}


class StatusCalls:
    """The part of a driver client that speaks of the exporter, not of the driver.

    Nothing here uses the property `status`: many clients have a method of that name.
    """

    stub: Any
    _has_status: bool = True
    """False once the exporter has turned out not to know the call."""
    _monitor: StatusMonitor | None = None

    @property
    def status(self) -> ExporterStatus | None:
        """The status that the running monitor saw last; None without a monitor."""
        return None if self._monitor is None else self._monitor.current_status

    async def get_status_async(self) -> ExporterStatus | None:
        """Return the exporter's status, or None for one that has no such call."""
        found = await self._status_after(None)
        return None if found is None else found.status

    async def check_exporter_status(self) -> None:
        """Raise ExporterNotReady when the exporter's status admits no calls."""
        status = await self.get_status_async()
        if status is not None and status not in READY_OR_HOOK:
            message = f"exporter status is {status}: it accepts no calls now"
            raise ExporterNotReady(message)

    async def wait_for_lease_ready(self, timeout: float = 300.0) -> None:  # noqa: ASYNC109 - public API
        """Return when calls are accepted, when a hook failed, or after `timeout` seconds."""
        with anyio.move_on_after(timeout):
            await self._reach(_READY_OR_FAILED)

    async def wait_for_hook_status(
        self,
        target_status: ExporterStatus,
        timeout: float = 60.0,  # noqa: ASYNC109 - public API
    ) -> bool:
        """Return whether the exporter reached `target_status` within `timeout` seconds."""
        with anyio.move_on_after(timeout):
            return await self._reach(_FAILED | {target_status}) in {target_status, None}
        return False

    async def wait_for_lease_ready_monitored(self, timeout: float = 300.0) -> None:  # noqa: ASYNC109 - public API
        """Do as `wait_for_lease_ready`, told by the monitor; RuntimeError without a monitor."""
        await self._running_monitor().wait_for_any_of(list(_READY_OR_FAILED), timeout)

    async def wait_for_hook_complete_monitored(self, timeout: float = 60.0) -> bool:  # noqa: ASYNC109 - public API
        """Return whether the afterLease hook ended well within `timeout` seconds.

        Told by the monitor; raises RuntimeError without one.
        """
        targets = [ExporterStatus.AVAILABLE, ExporterStatus.AFTER_LEASE_HOOK_FAILED]
        seen = await self._running_monitor().wait_for_any_of(targets, timeout)
        return seen is ExporterStatus.AVAILABLE

    async def end_session_async(self) -> bool:
        """Ask the exporter to end the session; return whether it does.

        An exporter that is gone by then has ended it.
        """
        try:
            response = await answer(
                self.stub.EndSession(
                    jumpstarter_pb2.EndSessionRequest(), timeout=END_SESSION_SECONDS
                )
            )
        except AioRpcError as error:
            return error.code() in _GONE
        return bool(response.success)

    @asynccontextmanager
    async def status_monitor_async(
        self, poll_interval: float = 0.3
    ) -> AsyncGenerator[StatusMonitor]:
        """Yield a monitor of the status.

        It is told of each change, or asks every `poll_interval` seconds where nobody tells.
        """
        async with StatusMonitor(self.stub, poll_interval) as monitor:
            before, self._monitor = self._monitor, monitor
            try:
                yield monitor
            finally:
                self._monitor = before

    def _running_monitor(self) -> StatusMonitor:
        if self._monitor is None:
            message = "no status monitor is running: use status_monitor_async around this call"
            raise RuntimeError(message)
        return self._monitor

    async def _reach(self, wanted: frozenset[ExporterStatus]) -> ExporterStatus | None:
        """Return the first status in `wanted`, or None from an exporter that has no status."""
        known = None
        while True:
            found = await self._status_after(known)
            if found is None or found.status in wanted:
                return None if found is None else found.status
            if known is not None and not found.told:
                # An exporter of release 0.9.0 does not tell of a change.
                await anyio.sleep(POLL_SECONDS)
            known = found.version

    async def _status_after(self, known: int | None) -> StatusAnswer | None:
        if not self._has_status:
            return None
        try:
            return await ask_status(self.stub, known)
        except AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                self._has_status = False
                return None
            raise stream_error(error) from cause(error)
