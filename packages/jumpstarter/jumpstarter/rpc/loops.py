"""Event loops to which gRPC may report when they have ended.

gRPC has one poller for all loops of a process: whichever loop looks hands each report to the loop
that it is for, also to one that has been closed. The error would come up in the loop that looked,
which has nothing to do with it.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context

import uvloop


class _Lenient(asyncio.AbstractEventLoop):
    """Drops what another thread or loop calls for after the end."""

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.Handle:
        """Call `callback` in the loop; when that is closed, never."""
        try:
            return super().call_soon_threadsafe(  # pyright: ignore[reportAbstractUsage] - it is mixed in
                callback, *args, context=context
            )
        except RuntimeError:
            if not self.is_closed():
                raise
            return asyncio.Handle(callback, args, self, context)


class UvLoop(_Lenient, uvloop.Loop):
    """uvloop's."""


class PlainLoop(_Lenient, asyncio.SelectorEventLoop):
    """asyncio's own."""
