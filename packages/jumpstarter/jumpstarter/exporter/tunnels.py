"""The tunnels of a lease: each client that dials is led from the router to its holder's socket.

Invitations are taken as long as the lease lasts. A tunnel lasts as long as the socket that it leads
to: when the lease moves to another client or ends, that socket is closed, and the tunnels to it
end because of that.
"""

import logging
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import TaskGroup
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.model.errors import JumpstarterException
from jumpstarter.model.fences import fence_of
from jumpstarter.rpc.channels import TLSSettings
from jumpstarter.rpc.retry import Backoff
from jumpstarter.rpc.tunnel import connect_router_stream
from jumpstarter.streams.background import background_tasks
from jumpstarter.streams.forwarding import AnyByteStream
from jumpstarter.streams.memory import create_memory_stream
from jumpstarter.streams.sockets import connect_unix

from .link import ControllerError, Link
from .reports import FIRST_WAIT, LONGEST_WAIT

logger = logging.getLogger(__name__)

ASK_SECONDS: Final = 1.0
"""Seconds for asking for invitations before the session begins without."""


@dataclass(frozen=True)
class RouterAccess:
    """How a router is reached: as the controller's certificates say, and with the same options."""

    tls: TLSSettings
    grpc_options: Mapping[str, str | int] = field(default_factory=dict[str, str | int])


class Invitations:
    """What clients of one lease dialled and nobody has answered yet; made by `listening`."""

    def __init__(self, tunnels: TaskGroup) -> None:
        """Begin with none; each one that is answered becomes a task in `tunnels`."""
        self._tunnels = tunnels
        self._waiting: deque[jumpstarter_pb2.ListenResponse] = deque()
        self._news = anyio.Event()
        self._asked = anyio.Event()
        self._fence = 0

    async def listen(self, link: Link, lease_name: str) -> None:
        """Take the invitations of the lease from the controller, for ever."""
        backoff = Backoff(FIRST_WAIT, LONGEST_WAIT)
        while True:
            try:
                async with link.listen(lease_name) as invitations:
                    self._asked.set()
                    async for invitation in invitations:
                        backoff.reset()
                        self._waiting.append(invitation)
                        self._news.set()
            except ControllerError as error:
                logger.info("listening for clients of lease %s: %s", lease_name, error.message)
            await backoff.wait()

    async def wait_asked(self) -> None:
        """Return when the controller has been asked for invitations."""
        await self._asked.wait()

    @asynccontextmanager
    async def led_to(self, path: Path, router: RouterAccess) -> AsyncGenerator[None]:
        """Lead the clients who dial during the context to the socket `path`.

        Who dials with a higher fence than others before is the next holder, of whom the controller
        has not told yet: that one waits for the next socket. Who comes with a lower one is late.
        """
        async with background_tasks() as tasks:
            tasks.start_soon(self._answer, path, router)
            yield

    async def _answer(self, path: Path, router: RouterAccess) -> None:
        own: int | None = None
        while True:
            for invitation in self._taken():
                fence = fence_of(invitation.router_token)
                if fence is not None and fence < self._fence:
                    logger.info("a client that does not hold the lease any more dialled")
                    self._tunnels.start_soon(_lead, invitation, None, router)
                elif fence is not None and own is not None and fence > own:
                    self._waiting.append(invitation)
                else:
                    own = own if fence is None else fence
                    self._fence = self._fence if fence is None else fence
                    self._tunnels.start_soon(_lead, invitation, path, router)
            self._news = anyio.Event()
            await self._news.wait()

    def _taken(self) -> list[jumpstarter_pb2.ListenResponse]:
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


@asynccontextmanager
async def listening(link: Link, lease_name: str) -> AsyncGenerator[Invitations]:
    """Yield the invitations of the lease, which are taken until the context is left."""
    async with background_tasks() as tunnels, background_tasks() as tasks:
        invitations = Invitations(tunnels)
        tasks.start_soon(invitations.listen, link, lease_name)
        # A client that hears of the lease's exporter may dial at once.
        with anyio.move_on_after(ASK_SECONDS):
            await invitations.wait_asked()
        yield invitations


async def _lead(
    invitation: jumpstarter_pb2.ListenResponse, path: Path | None, router: RouterAccess
) -> None:
    endpoint, token = invitation.router_endpoint, invitation.router_token
    try:
        local = await _entered(path)
        async with connect_router_stream(endpoint, token, local, router.tls, router.grpc_options):
            pass
    except (JumpstarterException, anyio.BrokenResourceError, OSError) as error:
        # Clients leave so, and what a router does about it ends here; it is nobody's failure.
        reason = str(error) or "its socket was closed"
        logger.info("a client's tunnel through %s ended: %s", endpoint, reason)


async def _entered(path: Path | None) -> AnyByteStream:
    """Return a connection to the socket, or one that has ended where there is none, or no more.

    A client that comes too late would else wait at the router for somebody who never comes.
    """
    if path is not None:
        with suppress(OSError):
            return await connect_unix(path)
    near, far = create_memory_stream()
    await near.aclose()
    return far
