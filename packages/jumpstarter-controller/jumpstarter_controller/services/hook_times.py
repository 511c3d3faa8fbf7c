"""How long exporters take to get ready, because released clients cannot wait for it in the tunnel.

A client of release 0.9.0 dials from inside a connection that it gives up after 20 seconds; the
exporter answers there only when its beforeLease hook is over. After a longer hook such a client has
released its lease and asked for another one, and so on for ever. So the next lease of an exporter
whose last hook took long is shown as ready only when it is: the client goes on asking, then dials.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from jumpstarter.model.status import ExporterStatus

from jumpstarter_controller.lease_state import READY, pending
from jumpstarter_controller.objects import Exporter, Lease

LONG: Final = timedelta(seconds=10)
"""How long a hook may take before clients are kept from dialling into it."""

NOT_READY: Final = "NotReady"
PREPARING: Final = frozenset({ExporterStatus.AVAILABLE, ExporterStatus.BEFORE_LEASE_HOOK})


class HookTimes:
    """Which exporters have long hooks, by uid, as far as they ran since the controller started."""

    def __init__(self) -> None:
        """Begin knowing nothing."""
        self._began: dict[str, datetime] = {}
        self._slow: set[str] = set()

    def reported(self, uid: str, status: ExporterStatus, now: datetime) -> None:
        """Take in what an exporter reported."""
        if status is ExporterStatus.BEFORE_LEASE_HOOK:
            self._began.setdefault(uid, now)
            return
        began = self._began.pop(uid, None)
        if began is None:
            return
        # One that a client gave up counts as well: it took at least so long.
        if now - began > LONG:
            self._slow.add(uid)
        else:
            self._slow.discard(uid)

    def slow(self, uid: str) -> bool:
        """Return whether the last hook of an exporter took long."""
        return uid in self._slow


def as_it_gets_ready(lease: Lease, exporter: Exporter) -> Lease:
    """Return a lease whose exporter is slow as clients are shown it: ready when that is ready."""
    if not lease.live or exporter.status not in PREPARING:
        return lease
    others = tuple(item for item in lease.conditions if item.type != READY)
    message = f"exporter {exporter.name} runs its beforeLease hook"
    since = lease.effective_begin or lease.created
    return pending(replace(lease, conditions=others), NOT_READY, message, since)
