"""A shell on an exporter that runs elsewhere, and listens."""

from collections.abc import Sequence

import anyio
from jumpstarter.client.client import fetch_report
from jumpstarter.config import env
from jumpstarter.shell import launch_shell

from jumpstarter_cli.addresses import Address
from jumpstarter_cli.interrupts import interruptible

_DIRECT = {env.JMP_EXPORTER: "direct", env.JMP_LEASE: "direct"}


def direct_shell(
    address: Address, command: Sequence[str], *, insecure: bool, passphrase: str | None
) -> int:
    """Reach the exporter, then run a shell or command and return its exit code.

    Raises ExporterUnreachableError when nobody answers, ConnectionError when it refuses.
    """
    with interruptible():
        motd = anyio.run(_greet, address, insecure, passphrase)
        return launch_shell(
            str(address),
            "direct",
            allow=(),
            unsafe=True,
            use_profiles=False,
            command=command,
            insecure=insecure,
            passphrase=passphrase,
            motd=motd,
            extra=_DIRECT,
        )


async def _greet(address: Address, insecure: bool, passphrase: str | None) -> str | None:  # noqa: FBT001 - anyio.run passes no names
    """Return what the exporter tells those who enter a shell."""
    report = await fetch_report(str(address), insecure=insecure, passphrase=passphrase)
    return report.motd or None
