"""Between Dial and Listen: what a client's Dial invites an exporter to, until it has been sent.

One queue per lease, of the exporter's newest Listen. A newer one takes its place at once; the older
one still sends what it has, and ends. An invitation goes into exactly one queue. What a Listen that
broke had not sent waits for the next one, because the clients have been told to go to the router.

A controller of several processes puts another `Invitations` in the place of `LocalInvitations`.
"""

from collections import deque
from collections.abc import AsyncIterator, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

import anyio

CAPACITY: Final = 8
"""Invitations that wait for one exporter to take them."""

MAX_LEFT: Final = 1024
"""Leases of which what a broken Listen left is kept."""

LeaseKey = tuple[str, str]
"""Namespace and name of a lease."""


class NotListeningError(Exception):
    """The exporter of the lease does not listen."""


class QueueFullError(Exception):
    """The exporter of the lease does not take its invitations."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """Where an exporter is to meet a client."""

    router_endpoint: str
    router_token: str = field(repr=False)


class Listener(Protocol):
    """The invitations of one lease, as they come."""

    def __aiter__(self) -> AsyncIterator[Invitation]:
        """Iterate until a newer listener has taken this one's place."""
        ...


class Invitations(Protocol):
    """Brings invitations from the process that has the Dial to the one that has the Listen."""

    def listen(self, lease: LeaseKey) -> AbstractContextManager[Listener]:
        """Take the place of the lease's listener for the time of a `with`."""
        ...

    async def invite(self, lease: LeaseKey, invitation: Invitation, patience: float) -> None:
        """Hand over an invitation; wait up to `patience` seconds for a listener with room.

        Raises NotListeningError or QueueFullError.
        """
        ...


class _Queue:
    """What waits for one listener. `changed` is set, and replaced, at each change."""

    def __init__(self) -> None:
        self.items: deque[Invitation] = deque()
        self.superseded = False
        self.changed = anyio.Event()

    def tell(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    async def __aiter__(self) -> AsyncIterator[Invitation]:
        while True:
            while self.items:
                # It stays first until the listener asks for more: one that broke while it sent
                # this has not sent it. Twice does less harm than never, which a client waits for.
                yield self.items[0]
                self.items.popleft()
                self.tell()
            if self.superseded:
                return
            await self.changed.wait()


class LocalInvitations:
    """Invitations within one process."""

    def __init__(self) -> None:
        """Begin without listeners."""
        self._queues: dict[LeaseKey, _Queue] = {}
        self._left: dict[LeaseKey, deque[Invitation]] = {}
        self._arrived = anyio.Event()

    @contextmanager
    def listen(self, lease: LeaseKey) -> Generator[Listener]:
        """Take the place of the lease's listener for the time of a `with`."""
        queue = _Queue()
        queue.items.extend(self._left.pop(lease, ()))
        old = self._queues.get(lease)
        self._queues[lease] = queue
        if old is not None:
            old.superseded = True
            old.tell()
        self._arrived.set()
        self._arrived = anyio.Event()
        try:
            yield queue
        finally:
            if self._queues.get(lease) is queue:
                del self._queues[lease]
                self._keep(lease, queue.items)
                queue.superseded = True
                queue.tell()
            elif queue.items:
                self._pass_on(lease, queue.items)

    async def invite(self, lease: LeaseKey, invitation: Invitation, patience: float) -> None:
        """Hand over an invitation; wait up to `patience` seconds for a listener with room.

        Raises NotListeningError or QueueFullError.
        """
        with anyio.move_on_after(patience):
            while True:
                queue = self._queues.get(lease)
                if queue is not None and len(queue.items) < CAPACITY:
                    break
                await (self._arrived if queue is None else queue.changed).wait()
        # No await between the look and the append: the two are one step for all other tasks.
        queue = self._queues.get(lease)
        if queue is None:
            raise NotListeningError
        if len(queue.items) >= CAPACITY:
            raise QueueFullError
        queue.items.append(invitation)
        queue.tell()

    def _keep(self, lease: LeaseKey, items: deque[Invitation]) -> None:
        if items:
            self._left[lease] = items
        while len(self._left) > MAX_LEFT:
            del self._left[next(iter(self._left))]

    def _pass_on(self, lease: LeaseKey, items: deque[Invitation]) -> None:
        """Give what a broken listener had to the one that took its place, if there is room."""
        queue = self._queues.get(lease)
        if queue is None:
            self._keep(lease, items)
            return
        while items and len(queue.items) < CAPACITY:
            queue.items.append(items.popleft())
        queue.tell()
