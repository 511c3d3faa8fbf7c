"""A router's report to its controller, and the orders that come back.

A controller that cannot be reached is tried again for ever. Meanwhile the router goes on with the
keys that it has: streams outlive the controller.
"""

import asyncio
import base64
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, cast

import anyio
from grpc.aio import AioRpcError, StreamStreamCall
from jumpstarter.model.errors import ConfigurationError, JumpstarterException
from jumpstarter.rpc.channels import TLSSettings, connect, tcp_target
from jumpstarter.rpc.retry import Backoff
from jumpstarter.streams.background import background_tasks
from jumpstarter_protocol import admin_pb2, admin_pb2_grpc

from .claims import PublicKey, parse_keys
from .router import Router

logger = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 0.5
LONGEST_RETRY_S: Final = 15.0
INTERVAL_S: Final = 10.0
"""Seconds between reports, until the controller says how many."""

SHORTEST_S: Final = 0.1

Metadata = tuple[tuple[str, str], ...]
Call = StreamStreamCall[admin_pb2.RouterReport, admin_pb2.RouterOrders]


@dataclass(slots=True)
class KeyRing:
    """The public keys that tokens of streams are verified with; none before the first orders."""

    keys: Sequence[PublicKey] = ()

    def __call__(self) -> Sequence[PublicKey]:
        """Return the keys."""
        return self.keys

    @property
    def is_filled(self) -> bool:
        """Whether there are any."""
        return bool(self.keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a router is reached, and the labels by which it is chosen."""

    endpoint: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


def caller_metadata(token: str) -> Metadata:
    """Return what a router says of itself: its own token, which names it.

    Raises ConfigurationError when the token is not that of a router.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        kind, namespace, name, _ = cast("str", claims["sub"]).split(":")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        kind = namespace = name = ""
    if kind != "router":
        raise ConfigurationError(
            "the token is not that of a router; make one with `jmp admin create router`"
        )
    return (
        ("authorization", f"Bearer {token}"),
        ("jumpstarter-kind", "Router"),
        ("jumpstarter-namespace", namespace),
        ("jumpstarter-name", name),
    )


def report(router: Router, place: Place) -> admin_pb2.RouterReport:
    """Return what the router tells about itself now."""
    return admin_pb2.RouterReport(
        endpoint=place.endpoint,
        labels=place.labels,
        streams=router.streams,
        draining=router.draining,
    )


def obey(orders: admin_pb2.RouterOrders, router: Router, ring: KeyRing) -> None:
    """Do what the controller orders. Raises ValueError for orders that make no sense."""
    if orders.jwks:
        ring.keys = parse_keys(orders.jwks)
        router.health_changed()
    for ended in orders.ended_leases:
        router.refuse(ended.name, ended.fence + 1)


@dataclass(slots=True, kw_only=True)
class Registration:
    """Keeps a router registered with the controller at `target`.

    Attributes:
        read_token: returns the router's token; asked for at every try, since it may be renewed.
    """

    router: Router
    ring: KeyRing
    place: Place
    target: str
    tls: TLSSettings
    read_token: Callable[[], str]
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_RETRY_S, LONGEST_RETRY_S))
    registered: anyio.Event = field(default_factory=anyio.Event, init=False)
    """Set while the controller holds the router for registered; another one after that."""
    _interval: float = field(default=INTERVAL_S, init=False)
    _hurry: anyio.Event = field(default_factory=anyio.Event, init=False)
    _told: str = field(default="", init=False)

    async def run(self) -> None:
        """Register, again and again, until cancelled."""
        while True:
            try:
                await self._register()
                reason = "the controller ended the call"
            except AioRpcError as error:
                reason = f"{error.code().name}: {error.details()}"
            except (JumpstarterException, ValueError, OSError) as error:
                reason = str(error)
            if self.registered.is_set():
                self.registered = anyio.Event()
            if reason != self._told:
                self._told = reason
                logger.warning("not registered with the controller %s: %s", self.target, reason)
            await self.backoff.wait()

    def report_now(self) -> None:
        """Let the next report be made at once, because something has changed."""
        self._hurry.set()

    async def _register(self) -> None:
        metadata = caller_metadata(self.read_token())
        async with connect(await tcp_target(self.target, self.tls)) as channel:
            call = admin_pb2_grpc.RouterRegistryServiceStub(channel).Register(metadata=metadata)
            try:
                async with background_tasks() as tasks:
                    tasks.start_soon(self._report, call)
                    await self._follow(call)
            finally:
                call.cancel()

    async def _follow(self, call: Call) -> None:
        async for orders in call:
            obey(orders, self.router, self.ring)
            if orders.HasField("report_interval"):
                seconds = orders.report_interval.ToTimedelta().total_seconds()
                self._interval = max(seconds, SHORTEST_S)
                self._hurry.set()
            if not self.registered.is_set():
                logger.info("registered with the controller %s", self.target)
                self._told = ""
                self.backoff.reset()
                self.registered.set()

    async def _report(self, call: Call) -> None:
        # What ends the call is told to whoever reads it.
        with suppress(AioRpcError, asyncio.InvalidStateError):
            while True:
                self._hurry = anyio.Event()
                await call.write(report(self.router, self.place))
                with anyio.move_on_after(self._interval):
                    await self._hurry.wait()
