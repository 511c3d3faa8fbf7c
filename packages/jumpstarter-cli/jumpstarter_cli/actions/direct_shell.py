"""A shell on an exporter that runs elsewhere, and listens."""

from collections.abc import Sequence

from jumpstarter.client.client import watched
from jumpstarter.config import env
from jumpstarter.rpc.portal import open_portal
from jumpstarter.shell import launch_shell

from jumpstarter_cli.addresses import Address
from jumpstarter_cli.interrupts import interruptible
from jumpstarter_cli.logs import show_exporter_logs

_DIRECT = {env.JMP_EXPORTER: "direct", env.JMP_LEASE: "direct"}


def direct_shell(
    address: Address,
    command: Sequence[str],
    *,
    insecure: bool,
    passphrase: str | None,
    exporter_logs: bool,
) -> int:
    """Reach the exporter, then run a shell or command and return its exit code.

    Raises ExporterUnreachableError when nobody answers, ConnectionError when it refuses.
    """
    show_exporter_logs(everything=exporter_logs)
    seen = watched(
        str(address), show_all_logs=exporter_logs, insecure=insecure, passphrase=passphrase
    )
    with (
        interruptible(),
        open_portal() as portal,
        portal.wrap_async_context_manager(seen) as report,
    ):
        return launch_shell(
            str(address),
            "direct",
            allow=(),
            unsafe=True,
            use_profiles=False,
            command=command,
            insecure=insecure,
            passphrase=passphrase,
            motd=report.motd or None,
            extra=_DIRECT,
        )
