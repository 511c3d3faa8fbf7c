"""An exporter that a controller knows: one lease after the other, until it is asked to stop.

A lease that cannot be served, because a driver cannot be built for one, is given back with the
reason. An exporter to which this happens again and again stops, so that others get the leases.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import anyio
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model.errors import JumpstarterException
from jumpstarter.model.rapid_failures import RapidFailures
from jumpstarter.model.status import ExporterStatus
from jumpstarter.streams.background import background_tasks

from .assignments import Assignment
from .attachment import Attachment
from .leases import GIVE_BACK_SECONDS, LeaseServer
from .link import ControllerError, told
from .reports import LeaseRelease, StatusReport
from .stopping import cancelled_by

logger = logging.getLogger(__name__)

FAREWELL_SECONDS: Final = 8.0
"""Seconds for telling the controller that this exporter leaves: who stops it may wait for ten."""

LOST_FAREWELL_SECONDS: Final = 2.0
"""The same when the controller is out of reach already."""

_AVAILABLE: Final = StatusReport(ExporterStatus.AVAILABLE, "Available for new lease")


@dataclass(kw_only=True)
class RegisteredExporter:
    """Serves the leases that come over `attachment` with `leases`."""

    attachment: Attachment
    leases: LeaseServer
    failures: RapidFailures
    exit_on_lease_end: bool = False
    should_unregister: bool = False
    """Whether the controller is told at the end."""
    _leaving: anyio.Event = field(default_factory=anyio.Event, init=False)
    _exit_code: int | None = field(default=None, init=False)

    async def serve(self, registered: Callable[[], object]) -> int | None:
        """Serve until it is time to stop; `registered` is called when a controller knows of this.

        Returns the exit code, if one is due. Raises ConnectionError of this package when the
        controller refuses the exporter.
        """
        self.leases.outbox.put(_AVAILABLE)
        async with background_tasks() as tasks:
            tasks.start_soon(self.attachment.run)
            tasks.start_soon(self.leases.outbox.run)
            tasks.start_soon(self._tell_registered, registered)
            async with anyio.create_task_group() as leaving:
                leaving.start_soon(self._leave)
                self._exit_code = await self._serve_leases()
                if not self.leases.stopping.after_lease.is_set():
                    # Nobody asked for the end, so nobody said whether the controller is told.
                    self.should_unregister = True
                self._leaving.set()
        return self._exit_code

    def stop(self, *, should_unregister: bool) -> None:
        """Take notice of `stopping`: the controller is told at once, unless a lease goes on."""
        self.should_unregister = self.should_unregister or should_unregister
        if self.leases.stopping.now.is_set():
            self._leaving.set()

    async def _tell_registered(self, registered: Callable[[], object]) -> None:
        await self.attachment.registered.wait()
        registered()

    async def _serve_leases(self) -> int | None:
        while True:
            assignment = await self._next_assignment()
            if assignment is None:
                return None
            code = await self._serve_lease(assignment)
            if code is not None or self.exit_on_lease_end:
                return code

    async def _next_assignment(self) -> Assignment | None:
        """Return what to serve next, or None when the exporter is to stop."""
        stopping, assignments = self.leases.stopping.after_lease, self.attachment.assignments
        while not stopping.is_set():
            if assignments.current is not None:
                return assignments.current
            # What is assigned may be gone again before the context is left.
            async with cancelled_by(stopping):
                await assignments.wait_for(lambda now: now is not None)
        return None

    async def _serve_lease(self, assignment: Assignment) -> int | None:
        try:
            code = await self.leases.serve(assignment)
        except Exception as error:  # the top of a served lease: drivers may raise anything
            trace = None if isinstance(error, JumpstarterException) else error
            logger.error(  # noqa: TRY400 - with the traceback where the error does not speak
                "lease %s cannot be served: %s", assignment.lease_name, error, exc_info=trace
            )
            return await self._give_back(assignment, str(error))
        self.failures.succeeded()
        return code

    async def _give_back(self, assignment: Assignment, reason: str) -> int | None:
        outbox, name = self.leases.outbox, assignment.lease_name
        message = f"the exporter cannot serve the lease: {reason}"
        outbox.put(StatusReport(ExporterStatus.BEFORE_LEASE_HOOK_FAILED, message))
        outbox.put(LeaseRelease(name))
        gives_up = self.failures.failed(anyio.current_time())
        async with cancelled_by(self.leases.stopping.now):
            with anyio.move_on_after(GIVE_BACK_SECONDS if gives_up else None):
                await self.attachment.assignments.wait_until_over(name)
        if gives_up:
            logger.error("%d leases in a row could not be served: stopping", self.failures.limit)
            return 1
        outbox.put(_AVAILABLE)
        return None

    async def _leave(self) -> None:
        await self._leaving.wait()
        if not self.should_unregister:
            return
        outbox = self.leases.outbox
        outbox.close()
        seconds = FAREWELL_SECONDS if outbox.is_attached else LOST_FAREWELL_SECONDS
        reason = f"no answer in {seconds:g} seconds"
        with anyio.move_on_after(seconds):
            await outbox.wait_empty()
            try:
                await self._unregister()
            except ControllerError as error:
                reason = error.message
            else:
                return
        logger.warning("the controller could not be told that this exporter stops: %s", reason)

    async def _unregister(self) -> None:
        request = jumpstarter_pb2.UnregisterRequest(reason="Exporter shutdown")
        async with self.leases.link.stub() as stub:
            await told(stub.Unregister(request, timeout=FAREWELL_SECONDS))
