"""Tells the routers when a lease has ended or was handed on, so that they cut its streams.

One task follows each lease that has an exporter. After a restart all of them are followed again, so
that a stream outlives neither its lease nor the controller that granted it.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup

from jumpstarter_controller.engine import Engine
from jumpstarter_controller.errors import Closed, NotFound
from jumpstarter_controller.objects import Lease

from .routing import Ended, Routing


class LeaseEnds:
    """Follows leases to their end; made by `following`."""

    def __init__(self, engine: Engine, routing: Routing, tasks: TaskGroup) -> None:
        """Tell `routing`, from tasks in `tasks`."""
        self._engine = engine
        self._routing = routing
        self._tasks = tasks
        self._followed: set[tuple[str, str]] = set()

    def follow(self, lease: Lease) -> None:
        """Tell when `lease` ends, or is handed on; following it again does nothing."""
        key = lease.namespace, lease.name
        if key not in self._followed:
            self._followed.add(key)
            self._tasks.start_soon(self._follow, lease)

    async def _follow(self, lease: Lease) -> None:
        fence = lease.fence
        try:
            async with self._engine.watch_lease(lease.namespace, lease.name) as changes:
                async for now in changes:
                    if now.ended:
                        break
                    if now.fence != fence:
                        self._routing.ended(Ended(lease.name, fence))
                        fence = now.fence
            self._routing.ended(Ended(lease.name, fence))
        except NotFound:
            self._routing.ended(Ended(lease.name, fence))
        except Closed:
            return
        finally:
            self._followed.discard((lease.namespace, lease.name))


@asynccontextmanager
async def following(engine: Engine, routing: Routing, namespace: str) -> AsyncGenerator[LeaseEnds]:
    """Follow the leases that there are in `namespace`, and those to come that are dialled."""
    async with anyio.create_task_group() as tasks:
        ends = LeaseEnds(engine, routing, tasks)
        for lease in (await engine.list_leases(namespace, only_active=True)).items:
            if lease.live:
                ends.follow(lease)
        try:
            yield ends
        finally:
            tasks.cancel_scope.cancel()
