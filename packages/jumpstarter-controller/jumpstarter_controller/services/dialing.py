"""Dial: brings the client of a lease and its exporter together at a router.

A client that dials too early is kept waiting where waiting helps: until the exporter's hook is
over, however long it takes, until it listens, or until a router is there. Where it does not help,
it is told at once, in the words that shipped clients look for.
"""

import uuid
from dataclasses import dataclass
from enum import Enum
from typing import Final

import anyio
from jumpstarter.model.status import ExporterStatus

from jumpstarter_controller.engine import Engine
from jumpstarter_controller.errors import Forbidden
from jumpstarter_controller.keys import SigningKey
from jumpstarter_controller.objects import Exporter, Lease, Ref, Router
from jumpstarter_controller.tokens import Side, StreamGrant, sign_stream
from jumpstarter_controller.topics import exporter_topic
from jumpstarter_controller.watch import Signal, Watch

from .lease_ends import LeaseEnds
from .listen import Invitation, Invitations, NotListeningError, QueueFullError
from .routing import Routing
from .statuses import Code, Refusal


class Gate(Enum):
    """What the status of an exporter means for who dials it."""

    OPEN = "open"
    SOON = "soon"
    """It is about to make itself ready; not for long."""
    HOOK = "hook"
    """It makes itself ready, which takes as long as its hook."""


_REFUSED: Final = {
    ExporterStatus.OFFLINE: "exporter is offline",
    ExporterStatus.BEFORE_LEASE_HOOK_FAILED: "the exporter's beforeLease hook failed",
    ExporterStatus.AFTER_LEASE_HOOK_FAILED: "the exporter's afterLease hook failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a Dial waits, in seconds: for a status other than Available, and for the rest."""

    status: float = 30.0
    rest: float = 5.0


DEFAULT_PATIENCE: Final = Patience()


def gate(status: ExporterStatus | None) -> Gate:
    """Return what `status` means for who dials. Raises Refusal when waiting does not help."""
    if status is not None and status in _REFUSED:
        raise Refusal(Code.FAILED_PRECONDITION, _REFUSED[status])
    if status is ExporterStatus.AVAILABLE:
        return Gate.SOON
    return Gate.HOOK if status is ExporterStatus.BEFORE_LEASE_HOOK else Gate.OPEN


def dialled_exporter(lease: Lease, caller: Ref) -> str:
    """Return the exporter that `caller` may dial by `lease`. Raises Forbidden or Refusal."""
    if not lease.owned_by(caller):
        # The words by which shipped clients know that the lease was transferred.
        raise Forbidden(f"permission denied: lease {lease.name} is held by client {lease.client}")
    if lease.ended:
        raise Refusal(Code.UNKNOWN, f"lease not active: lease {lease.name} has ended")
    if lease.exporter is None:
        raise Refusal(Code.UNKNOWN, f"lease not active: lease {lease.name} has no exporter yet")
    return lease.exporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialer:
    """Answers to Dial."""

    engine: Engine
    watch: Watch
    invitations: Invitations
    routing: Routing
    ends: LeaseEnds
    key: SigningKey
    patience: Patience = DEFAULT_PATIENCE

    async def dial(self, caller: Ref, name: str) -> Invitation:
        """Invite the exporter of a lease, and return where the client is to meet it.

        Raises LabError or Refusal.
        """
        if not name:
            raise Refusal(Code.UNKNOWN, "the request names no lease", Code.INVALID_ARGUMENT)
        lease = await self.engine.get_lease(caller.namespace, name)
        found = dialled_exporter(lease, caller)
        with self.watch.subscribe(exporter_topic(caller.namespace, found)) as signal:
            lease, exporter = await self._admitted(caller, name, signal)
        router = await self._router(exporter)
        grant = StreamGrant(stream=str(uuid.uuid4()), lease=lease.name, fence=lease.fence)
        await self._invite(lease, Invitation(router.endpoint, self._token(grant, Side.EXPORTER)))
        self.ends.follow(lease)
        return Invitation(router.endpoint, self._token(grant, Side.CLIENT))

    async def _admitted(self, caller: Ref, name: str, signal: Signal) -> tuple[Lease, Exporter]:
        """Return the lease and its exporter once the exporter lets clients in."""
        limit = anyio.current_time() + self.patience.status
        while True:
            lease = await self.engine.get_lease(caller.namespace, name)
            exporter = await self.engine.get_exporter(
                caller.namespace, dialled_exporter(lease, caller)
            )
            match gate(exporter.status):
                case Gate.OPEN:
                    return lease, exporter
                case Gate.HOOK:
                    await signal.wait()
                    limit = anyio.current_time() + self.patience.status
                case Gate.SOON:
                    with anyio.CancelScope(deadline=limit) as scope:
                        await signal.wait()
                    if scope.cancelled_caught:
                        raise Refusal(
                            Code.FAILED_PRECONDITION, "exporter is not ready (status: Available)"
                        )

    async def _router(self, exporter: Exporter) -> Router:
        with anyio.move_on_after(self.patience.rest):
            while True:
                arrival = self.routing.arrival()
                router = self.routing.pick(await self.engine.routers(), exporter.labels)
                if router is not None:
                    return router
                await arrival.wait()
        raise Refusal(Code.UNAVAILABLE, "no router is there; start one, or look why it is gone")

    async def _invite(self, lease: Lease, invitation: Invitation) -> None:
        key = lease.namespace, lease.name
        try:
            await self.invitations.invite(key, invitation, self.patience.rest)
        except NotListeningError:
            raise Refusal(
                Code.UNAVAILABLE, f"exporter is not listening on lease {lease.name}"
            ) from None
        except QueueFullError:
            raise Refusal(
                Code.RESOURCE_EXHAUSTED, f"exporter does not take its calls on lease {lease.name}"
            ) from None

    def _token(self, grant: StreamGrant, side: Side) -> str:
        return sign_stream(self.key, grant, side, self.engine.clock.now())
