"""What the controller is told: every status in order, and which lease is given back.

Rule: a report waits until the exporter is attached, and is tried until the controller has taken it,
however long that lasts. Only what a controller will never take is left out: a status that it does
not know how to take, and the return of a lease that is over already.
"""

import logging
import random
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import anyio
import grpc
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model.status import ExporterStatus
from jumpstarter.rpc.retry import Backoff

from .assignments import Assignments
from .link import CALL_SECONDS, ControllerError, Link, told

logger = logging.getLogger(__name__)

FIRST_WAIT: Final = 0.2
LONGEST_WAIT: Final = 10.0

_UNTAKEN: Final = frozenset({grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INVALID_ARGUMENT})
_NOT_OURS: Final = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION})

# What controllers answer in which only a client gives a lease back.
_NOT_FOR_EXPORTERS: Final = frozenset(
    {
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The exporter's status has changed."""

    status: ExporterStatus
    message: str = ""


@dataclass(frozen=True, slots=True)
class LeaseRelease:
    """The exporter has no more use for the lease."""

    lease_name: str


Report: TypeAlias = StatusReport | LeaseRelease


class Outbox:
    """Sends reports one after the other; `run` does, for as long as it is wanted."""

    def __init__(self, link: Link, assignments: Assignments) -> None:
        """Send over `link`; `assignments` tell which lease is over."""
        self._link = link
        self._assignments = assignments
        self._waiting: deque[Report] = deque()
        self._last: StatusReport | None = None
        self._attached = False
        self._closed = False
        self._changed = anyio.Event()

    @property
    def is_attached(self) -> bool:
        """Whether the controller can be told anything now."""
        return self._attached

    def put(self, report: Report) -> None:
        """Send `report` after those before it; after `close` nothing is sent any more."""
        if self._closed:
            return
        if isinstance(report, StatusReport):
            self._last = report
        self._waiting.append(report)
        self._tell()

    def attach(self, *, attached: bool) -> None:
        """Say whether the controller knows this exporter.

        One that has just come to know it is told the present status: it may have forgotten it.
        """
        if attached and not self._attached and not self._waiting and self._last is not None:
            self._waiting.append(self._last)
        self._attached = attached
        self._tell()

    def close(self) -> None:
        """Take no more reports; the last status is OFFLINE."""
        if self._last is None or self._last.status is not ExporterStatus.OFFLINE:
            self.put(StatusReport(ExporterStatus.OFFLINE, "Exporter shutdown"))
        self._closed = True

    async def wait_empty(self) -> None:
        """Return when everything has been sent."""
        while self._waiting:
            await self._changed.wait()

    async def run(self) -> None:
        """Send what there is to send, for ever."""
        while True:
            while not self._waiting:
                await self._changed.wait()
            await self._deliver(self._waiting[0])
            self._waiting.popleft()
            self._tell()

    async def _deliver(self, report: Report) -> None:
        backoff = Backoff(FIRST_WAIT, LONGEST_WAIT)
        while not await self._is_done(report):
            delay = backoff.next_delay(random.random())
            # Whatever changes may be what was missing.
            with anyio.move_on_after(delay):
                await self._changed.wait()

    async def _is_done(self, report: Report) -> bool:
        """Try to send `report`; return False to try again later."""
        if isinstance(report, LeaseRelease) and not self._assignments.is_on(report.lease_name):
            return True
        if not self._attached:
            return False
        try:
            if isinstance(report, StatusReport):
                await self._send_status(report)
            else:
                await self._release(report.lease_name)
        except ControllerError as error:
            logger.info("%s has not been told to the controller: %s", report, error.message)
            return False
        return True

    async def _send_status(self, report: StatusReport, *, release: bool | None = None) -> None:
        request = jumpstarter_pb2.ReportStatusRequest(
            status=cast("Any", report.status.to_proto()),
            message=report.message,
            release_lease=release,
        )
        try:
            async with self._link.stub() as stub:
                await told(stub.ReportStatus(request, timeout=CALL_SECONDS))
        except ControllerError as error:
            if error.code not in _UNTAKEN:
                raise
            logger.info("the controller does not take %s: %s", report, error.message)

    async def _release(self, lease_name: str) -> None:
        request = jumpstarter_pb2.ReleaseLeaseRequest(name=lease_name)
        try:
            async with self._link.stub() as stub:
                await told(stub.ReleaseLease(request, timeout=CALL_SECONDS))
        except ControllerError as error:
            if error.code in _NOT_OURS:
                return
            if error.code not in _NOT_FOR_EXPORTERS:
                raise
            await self._release_with_status()

    async def _release_with_status(self) -> None:
        """Give the lease back beside a status, as older controllers know it; then say our own."""
        ending = StatusReport(ExporterStatus.AFTER_LEASE_HOOK, "The session has ended")
        await self._send_status(ending, release=True)
        if self._last is not None:
            await self._send_status(self._last)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
