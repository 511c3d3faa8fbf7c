"""Controller and router joined in one process: they share keys, certificate and news directly.

Rule: this is a composition root. What the two do is decided in their own packages.
"""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import anyio
from jumpstarter.rpc.servers import Bind
from jumpstarter.streams.background import background_tasks
from jumpstarter.streams.broadcast import Subscription
from jumpstarter_controller.addresses import join_address, split_address
from jumpstarter_controller.certificates import Reloading
from jumpstarter_controller.config import Config
from jumpstarter_controller.data_directory import ADMIN
from jumpstarter_controller.errors import Closed, StoreUnavailable
from jumpstarter_controller.server import Controller, reachable, running_controller
from jumpstarter_controller.services.routing import REPORT_SECONDS, Ended
from jumpstarter_router import Router, Verifier, running_router

logger = logging.getLogger(__name__)

NAME: Final = "embedded"
"""The name of the router in the controller's list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabConfig:
    """A lab. Addresses are `host:port`; port 0 lets the system choose one.

    Attributes:
        controller: the controller; its `data` is the lab's data directory.
        router: where the router listens.
        router_endpoint: what callers are told to connect to, where that is not `router`.
        router_labels: labels that speak for this router where an exporter has them too.
        grace: seconds for streams to end when the lab stops.
    """

    controller: Config
    router: str = "127.0.0.1:8083"
    router_endpoint: str | None = None
    router_labels: Mapping[str, str] = field(default_factory=dict[str, str])
    grace: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A lab that runs.

    Attributes:
        controller, router: its parts.
        router_endpoint: where callers reach the router.
    """

    controller: Controller
    router: Router
    router_endpoint: str

    @property
    def endpoint(self) -> str:
        """Where callers reach the controller."""
        return self.controller.endpoint

    @property
    def login(self) -> str | None:
        """Where logins and health are served over HTTP; None when they are not."""
        return self.controller.login

    @property
    def ca(self) -> str:
        """What callers have to trust, PEM; empty when the system's roots do."""
        return self.controller.ca

    @property
    def admin_file(self) -> Path:
        """The administrator's credential: a file of kind AdminConfig, mode 0600."""
        return self.controller.config.data / ADMIN


@asynccontextmanager
async def running_lab(config: LabConfig) -> AsyncGenerator[Lab]:
    """Run a lab, and yield it when it can be used.

    Raises ConfigurationError, LabError or OSError, each with one line, when it cannot start.
    """
    host, _ = split_address(config.router)
    shown = split_address(config.router_endpoint)[0] if config.router_endpoint else reachable(host)
    hosts = (*config.controller.other_hosts, shown)
    async with running_controller(replace(config.controller, other_hosts=hosts)) as controller:
        router = Router(Verifier(lambda: (controller.stream_key,)))
        credentials = Reloading(controller.certificate).credentials()
        async with running_router(router, [Bind(config.router, credentials)]):
            (port,) = router.ports
            lab = Lab(
                controller=controller,
                router=router,
                router_endpoint=config.router_endpoint or join_address(shown, port),
            )
            async with _joined(lab, config.router_labels):
                yield lab
                router.begin_drain()
                await controller.engine.forget_router(NAME)
                await router.drained(config.grace)


@asynccontextmanager
async def _joined(lab: Lab, labels: Mapping[str, str]) -> AsyncGenerator[None]:
    """Let the controller know the router, and the router know of leases that end."""
    async with lab.controller.routing.orders() as ended, background_tasks() as tasks:
        await _report(lab, labels)
        tasks.start_soon(_keep_reporting, lab, labels)
        tasks.start_soon(_cut, lab.router, ended)
        yield


async def _report(lab: Lab, labels: Mapping[str, str]) -> None:
    controller = lab.controller
    load = float(lab.router.streams)
    await controller.engine.report_router(NAME, lab.router_endpoint, labels, load)
    controller.routing.reported(NAME)


async def _keep_reporting(lab: Lab, labels: Mapping[str, str]) -> None:
    while True:
        await anyio.sleep(REPORT_SECONDS)
        if lab.router.draining:
            return
        try:
            await _report(lab, labels)
        except StoreUnavailable as error:
            logger.warning("the router could not be reported: %s", error)
        except Closed:
            return


async def _cut(router: Router, ended: Subscription[Ended]) -> None:
    async for lease in ended:
        router.refuse(lease.lease, lease.fence + 1)
