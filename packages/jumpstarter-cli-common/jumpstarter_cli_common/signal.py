"""Signals as the end of a scope."""

import signal

import anyio
from jumpstarter_cli.interrupts import heeded


async def signal_handler(scope: anyio.CancelScope) -> None:
    """Cancel the scope when SIGINT or SIGTERM comes."""
    with anyio.open_signal_receiver(*heeded(signal.SIGINT, signal.SIGTERM)) as numbers:
        async for _ in numbers:
            scope.cancel()
            return
