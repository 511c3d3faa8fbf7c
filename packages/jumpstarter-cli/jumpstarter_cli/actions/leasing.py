"""Runs an exporter for its controller, one lease after the other, until a signal.

SIGINT, SIGTERM and SIGQUIT end it now, SIGHUP ends it when no lease is on. Either way the exit code
is 0: it did what it was asked to do. A second signal to end it now is not waited for.
"""

import signal

import anyio
import click
from anyio.abc import TaskStatus
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.exporter import Exporter
from jumpstarter.local import create_exporter

from jumpstarter_cli.exporter_files import ExporterFile
from jumpstarter_cli.interrupts import heeded
from jumpstarter_cli.loading import explained, load

NOW = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
AFTER_LEASE = signal.SIGHUP


def serve_leases(file: ExporterFile, *, exit_on_lease_end: bool) -> int:
    """Serve the leases of the exporter that `file` describes; return the exit code.

    Raises UsageError when the file names no controller, ConfigurationError when it is wrong,
    ConnectionError when its controller refuses it.
    """
    config = load(file)
    if config.endpoint is None:
        raise click.UsageError(
            "say where to listen: --tls-grpc-listener [HOST:]PORT; "
            "or give the exporter's file a controller: endpoint and token"
        )
    config.exit_on_lease_end = config.exit_on_lease_end or exit_on_lease_end
    return anyio.run(_serve, config)


async def _serve(config: ExporterConfigV1Alpha1) -> int:
    def tell() -> None:
        name = f"{config.metadata.namespace}/{config.metadata.name}"
        click.echo(f"Registered with {config.endpoint} as {name}")

    async with create_exporter(config) as exporter, anyio.create_task_group() as tasks:
        await tasks.start(_stop_on_signal, exporter)
        with explained(config):
            await exporter.serve(registered=tell)
        tasks.cancel_scope.cancel()
    return exporter.exit_code or 0


async def _stop_on_signal(exporter: Exporter, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(*heeded(*NOW, AFTER_LEASE)) as numbers:
        task_status.started()
        async for number in numbers:
            exporter.stop(wait_for_lease_exit=number == AFTER_LEASE, should_unregister=True)
            if number != AFTER_LEASE:
                break
    # The afterLease hook may take its time; who will not wait sends another signal.
    for number in heeded(*NOW, AFTER_LEASE):
        signal.signal(number, signal.SIG_DFL)
