"""The wish that an exporter ends: at once, or when its lease is over."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from jumpstarter.streams.background import background_tasks


class Stopping:
    """Whoever serves waits for `after_lease` between leases, and for `now` during one."""

    def __init__(self) -> None:
        """Begin without a wish."""
        self.after_lease = anyio.Event()
        self.now = anyio.Event()

    def stop(self, *, wait_for_lease_exit: bool) -> None:
        """Wish for the end; a second wish may be more urgent than the first."""
        self.after_lease.set()
        if not wait_for_lease_exit:
            self.now.set()


@asynccontextmanager
async def cancelled_by(event: anyio.Event) -> AsyncGenerator[None]:
    """Cancel the body when `event` is set, and go on after it."""

    async def cancel() -> None:
        await event.wait()
        scope.cancel()

    with anyio.CancelScope() as scope:
        async with background_tasks() as tasks:
            tasks.start_soon(cancel)
            yield
