"""The begin and the end of a session on a leased exporter, as its client sees them."""

from typing import Final

import anyio
import click
from jumpstarter.client.base import DriverClient
from jumpstarter.client.lease import Lease
from jumpstarter.client.status_monitor import StatusMonitor
from jumpstarter.model.errors import LeaseError
from jumpstarter.model.status import ExporterStatus

PHASE_SECONDS: Final = 300.0
"""Seconds for the hooks before and after a lease."""

_WARNING: Final = "[HOOK_WARNING] "


async def wait_until_ready(client: DriverClient) -> None:
    """Return when the exporter accepts calls, and show what its hook warns of.

    Raises LeaseError when it never will.
    """
    wanted = [ExporterStatus.LEASE_READY, ExporterStatus.BEFORE_LEASE_HOOK_FAILED]
    async with client.status_monitor_async() as monitor:
        match await monitor.wait_for_any_of(wanted, PHASE_SECONDS):
            case ExporterStatus.LEASE_READY:
                _show_warning(monitor)
            case None if monitor.connection_lost:
                raise LeaseError("Connection to exporter lost before it was ready")
            case None:
                message = f"the exporter was not ready within {PHASE_SECONDS:g} seconds"
                raise LeaseError(message)
            case _:
                said = monitor.status_message or "its exporter says no more"
                raise LeaseError(f"beforeLease hook failed: {said}")


async def end_session(lease: Lease, client: DriverClient) -> None:
    """End the session of a lease that is ours to release, and wait for the hook after it.

    Whatever goes wrong, the lease is released next, which ends the session too.
    """
    if not lease.release or lease.lease_ended or lease.lease_transferred:
        return
    with anyio.CancelScope(shield=True), anyio.move_on_after(PHASE_SECONDS):
        async with client.status_monitor_async() as monitor:
            if await client.end_session_async():
                wanted = [ExporterStatus.AVAILABLE, ExporterStatus.AFTER_LEASE_HOOK_FAILED]
                await monitor.wait_for_any_of(wanted)
                _show_warning(monitor)


def _show_warning(monitor: StatusMonitor) -> None:
    if monitor.status_message.startswith(_WARNING):
        click.echo(f"Warning: {monitor.status_message.removeprefix(_WARNING)}", err=True)
