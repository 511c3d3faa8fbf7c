"""One lease of an exporter: its session, the hooks around it, and the client who holds it.

Rule: the client's socket belongs to the one who holds the lease. When the lease moves to another
client it is closed and a new one opened; when the lease is over it is closed before anything else
happens, so that no call of the old holder has any effect.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import anyio

from .assignments import Assignment, Assignments
from .hooks import HookExecutor, HookSurroundings
from .lease_context import LeaseContext
from .link import Link
from .performer import Performer
from .reports import Outbox
from .session import Session
from .stopping import Stopping, cancelled_by
from .tunnels import Invitations, RouterAccess, listening

logger = logging.getLogger(__name__)

GIVE_BACK_SECONDS: Final = 5.0
"""Seconds that an exporter which must stop waits for the controller to end its lease."""


@dataclass(frozen=True)
class LeaseServer:
    """Serves leases, one at a time, each with a session of its own from `open_session`."""

    link: Link
    router: RouterAccess
    assignments: Assignments
    outbox: Outbox
    executor: HookExecutor
    open_session: Callable[[], Session]
    stopping: Stopping

    async def serve(self, assignment: Assignment) -> int | None:
        """Serve a lease until it is over, or the exporter must stop now.

        Returns the exit code with which a hook stops the exporter. Raises whatever keeps the
        session from being opened.
        """
        name = assignment.lease_name
        with self.open_session() as session:
            async with (
                session.serve_unix_async(calls_socket=False) as hook_path,
                listening(self.link, name) as invitations,
            ):
                around = HookSurroundings(hook_path, name, assignment.client_name)
                performer = Performer(
                    session,
                    self.executor,
                    around,
                    self.outbox.put,
                    lambda: self.assignments.wait_until_over(name),
                )
                lease = LeaseContext(lease_name=name, client_name=assignment.client_name)
                session.end_requested = lease.end_session_requested
                await _Serving(self, session, performer, lease, invitations).run()
        logger.info("lease %s: the session is closed", name)
        await performer.close()
        return performer.exit_code


@dataclass
class _Serving:
    """What belongs to the lease that is being served."""

    server: LeaseServer
    session: Session
    performer: Performer
    lease: LeaseContext
    invitations: Invitations

    def __post_init__(self) -> None:
        self._holding = anyio.CancelScope()

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._perform)
            async with cancelled_by(self.server.stopping.now):
                with self._holding:
                    await self._serve_holders()
            self.lease.end_session_requested.set()

    async def _serve_holders(self) -> None:
        """Serve who holds the lease, and whoever it moves to, until it is over."""
        assignments = self.server.assignments
        while assignments.is_on(self.lease.lease_name):
            holder = assignments.current
            assert holder is not None  # noqa: S101 - the lease is on
            self.lease.client_name = holder.client_name
            self.performer.around = replace(self.performer.around, client_name=holder.client_name)
            logger.info("lease %s is held by client %s", holder.lease_name, holder.client_name)
            async with (
                self.session.serve_clients_async() as path,
                self.invitations.led_to(path, self.server.router),
            ):
                await assignments.wait_for(lambda now, held=holder: now != held)

    @property
    def _is_watched(self) -> bool:
        """Whether it is the client who ended the session, and waits for the outcome."""
        server = self.server
        return server.assignments.is_on(self.lease.lease_name) and not server.stopping.now.is_set()

    async def _perform(self) -> None:
        async with cancelled_by(self.server.stopping.now):
            await self.performer.begin()
        if self.performer.is_ready:
            # Whatever ends the lease, the afterLease hook has its turn, once.
            try:
                await self.lease.end_session_requested.wait()
            finally:
                with anyio.CancelScope(shield=True):
                    await self.performer.end(watched=self._is_watched)
        if self.performer.exit_code is not None:
            with anyio.move_on_after(GIVE_BACK_SECONDS):
                await self.server.assignments.wait_until_over(self.lease.lease_name)
            self._holding.cancel()
