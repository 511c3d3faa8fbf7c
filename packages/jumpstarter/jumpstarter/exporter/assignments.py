"""What the controller wants of this exporter now: the newest word counts, and those before it not.

So a lease that came and went while nobody looked leaves no trace, and a change from one lease to
another is one whether or not the controller tells of a pause between them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import anyio
from jumpstarter_protocol import jumpstarter_pb2


@dataclass(frozen=True, slots=True)
class Assignment:
    """A lease on this exporter, and the client who holds it."""

    lease_name: str
    client_name: str = ""


def assignment_of(message: jumpstarter_pb2.StatusResponse) -> Assignment | None:
    """Return the assignment that the controller tells, or None: a lease without a name is none."""
    if not (message.leased and message.lease_name):
        return None
    return Assignment(message.lease_name, message.client_name)


class Assignments:
    """Holds the newest assignment; its readers wait for the one that they need."""

    def __init__(self) -> None:
        """Begin without an assignment."""
        self.current: Assignment | None = None
        self._changed = anyio.Event()

    def update(self, newest: Assignment | None) -> None:
        """Replace the assignment."""
        if newest != self.current:
            self.current = newest
            self._changed.set()
            self._changed = anyio.Event()

    def is_on(self, lease_name: str) -> bool:
        """Return whether the lease is still this exporter's."""
        return self.current is not None and self.current.lease_name == lease_name

    async def wait_for(self, wanted: Callable[[Assignment | None], bool]) -> Assignment | None:
        """Return the newest assignment as soon as it is `wanted`."""
        while not wanted(self.current):
            await self._changed.wait()
        return self.current

    async def wait_until_over(self, lease_name: str) -> None:
        """Return when the lease is no longer this exporter's."""
        await self.wait_for(lambda _: not self.is_on(lease_name))
