"""A shell on an exporter that is leased: while it is open, or for as long as a lease lasts that is.

The tunnel and its watchers run in a portal's thread, because the shell needs the main thread for
its signals. Each connection to the exporter is dialled for itself, so that a router or controller
that was away for a while ends no shell.
"""

import sys
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click
from anyio.from_thread import BlockingPortal
from jumpstarter.client.client import fetch_report
from jumpstarter.client.lease import Lease
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.model.errors import LeaseEndedError, LeaseTransferredError
from jumpstarter.rpc.portal import open_portal
from jumpstarter.shell import launch_shell
from jumpstarter.streams.background import background_tasks

from jumpstarter_cli.access import own_name, with_fresh_token
from jumpstarter_cli.actions.session_phases import end_session, wait_until_ready
from jumpstarter_cli.actions.token_keeping import keep_token
from jumpstarter_cli.interrupts import interruptible
from jumpstarter_cli.logs import show_exporter_logs


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseWish:
    """What was typed of the lease: which one, or of what, and how long to wait for what."""

    name: str | None
    selector: str | None
    exporter_name: str | None
    duration: timedelta
    exporter_logs: bool
    acquisition_timeout: timedelta | None
    retry_timeout: timedelta | None
    dial_timeout: timedelta | None


@dataclass(frozen=True, slots=True)
class Entered:
    """A leased exporter that is ready: its lease, its socket, and what it tells who enters."""

    lease: Lease
    path: Path
    motd: str | None


def lease_shell(config: ClientConfigV1Alpha1, wish: LeaseWish, command: tuple[str, ...]) -> int:
    """Lease the exporter, then run a shell or command and return its exit code.

    Raises LeaseError, ConnectionError or ExporterUnreachableError when there is no way to it. A
    lease that ends on the way is no error, unless it is one that was named.
    """
    show_exporter_logs(everything=wish.exporter_logs)
    return with_fresh_token(config, lambda: _Shell(config, wish, command).run())


def own_lease(config: ClientConfigV1Alpha1) -> str:
    """Return the name of the one lease that the client has; ask on a terminal when there are more.

    Raises UsageError when that leaves it open.
    """
    own = own_name(config)
    leases = with_fresh_token(config, config.list_leases).filter_by_client(own).leases
    if not leases:
        raise click.UsageError(
            "say which exporter: --selector, --name or --lease; this client has no lease to go on"
        )
    if len(leases) == 1:
        return leases[0].name
    if not sys.stdin.isatty():
        names = ", ".join(lease.name for lease in leases)
        raise click.UsageError(
            f"this client has {len(leases)} leases; choose with --lease: {names}"
        )
    for number, lease in enumerate(leases, 1):
        click.echo(f"{number}  {lease.name}  {lease.exporter or lease.selector}", err=True)
    chosen = click.prompt("Lease", type=click.IntRange(1, len(leases)), err=True)
    return leases[chosen - 1].name


class _Shell:
    """One try to reach an exporter and run the shell; the shell itself is run once at most."""

    def __init__(
        self, config: ClientConfigV1Alpha1, wish: LeaseWish, command: tuple[str, ...]
    ) -> None:
        self._config = config
        self._wish = wish
        self._command = command
        self._lease: Lease | None = None

    def run(self) -> int:
        try:
            with interruptible(), open_portal() as portal:
                code = self._run(portal)
        except LeaseEndedError as error:
            if self._lease is None:
                raise
            click.echo(error.message, err=True)
            return 0
        if self._lease is not None and self._lease.lease_transferred:
            message = f"lease {self._lease.name} was transferred to another client"
            raise LeaseTransferredError(message)
        return code

    def _run(self, portal: BlockingPortal) -> int:
        config = self._config
        with portal.wrap_async_context_manager(self._entered(portal)) as entered:
            return launch_shell(
                str(entered.path),
                entered.lease.exporter_name,
                allow=config.drivers.allow,
                unsafe=config.drivers.unsafe,
                use_profiles=config.shell.use_profiles,
                command=self._command,
                lease=entered.lease,
                motd=entered.motd,
            )

    @asynccontextmanager
    async def _entered(self, portal: BlockingPortal) -> AsyncGenerator[Entered]:
        wish = self._wish
        async with (
            self._config.lease_async(
                wish.selector,
                wish.exporter_name,
                wish.name,
                wish.duration,
                portal,
                wish.acquisition_timeout,
                wish.retry_timeout,
                wish.dial_timeout,
                waiting_callback=_tell_waiting,
            ) as lease,
            background_tasks() as tasks,
        ):
            self._lease = lease
            tasks.start_soon(keep_token, self._config)
            with ExitStack() as stack:
                async with (
                    lease.reach_async(stack) as reached,
                    reached.client.log_stream_async(show_all_logs=wish.exporter_logs),
                ):
                    try:
                        async with lease.monitor_async():
                            await wait_until_ready(reached.client)
                            motd = None if self._command else await _motd(reached.path)
                            yield Entered(lease, reached.path, motd)
                    finally:
                        await end_session(lease, reached.client)


async def _motd(path: Path) -> str | None:
    report = await fetch_report(path)
    return report.motd or None


def _tell_waiting(text: str) -> None:
    click.echo(f"waiting for the lease: {text}", err=True)
