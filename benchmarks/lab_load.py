"""Exporters or clients of a lab, many of them in one process, with a connection for each.

    python benchmarks/lab_load.py exporters|devices|clients ENDPOINT CA < PEOPLE

Reads a line of JSON, names and tokens. `exporters` prints `ready` when each is registered and has
its Status open; from then on each does what a lease asks of one: it listens, reports, and hangs up.
`devices` only registers them. `clients` reads a line per task, such as `grants N`, `churn SECONDS`
or `handover WAITING TURNS`, and prints figures for each as a line of JSON.
"""

import json
import os
import resource
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Literal

import anyio
import grpc
from jumpstarter.client.acquisition import Wish, create_lease, new_lease_name, wait_until_granted
from jumpstarter.client.grpc import ClientService
from jumpstarter.config.current_token import CurrentToken
from jumpstarter.rpc.channels import channel_options
from jumpstarter.rpc.credentials import identity_credentials
from jumpstarter.rpc.portal import BACKEND, LOOP_OPTIONS
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc
from jumpstarter_protocol.jumpstarter.v1.common_pb2 import ExporterStatus

AVAILABLE = ExporterStatus.EXPORTER_STATUS_AVAILABLE
LEASE_READY = ExporterStatus.EXPORTER_STATUS_LEASE_READY
NAMESPACE = "default"
AT_ONCE = 50
HOUR = timedelta(hours=1)

Person = tuple[str, str]
"""Name and token."""


def channel(
    endpoint: str, ca: bytes, kind: Literal["Client", "Exporter"], person: Person
) -> grpc.aio.Channel:
    """Return a connection of its own for somebody, whose calls say who that is."""
    name, token = person
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(ca),
        identity_credentials(CurrentToken(token, None), kind, NAMESPACE, name),
    )
    options = channel_options({"grpc.use_local_subchannel_pool": 1})
    return grpc.aio.secure_channel(endpoint, credentials, options=options)


async def exporter(lab: Any, opened: anyio.CapacityLimiter, ready: "Countdown") -> None:  # noqa: ANN401 - a stub
    """Be an exporter without a device."""
    async with opened:
        report = jumpstarter_pb2.DriverInstanceReport(uuid="root")
        await lab.Register(jumpstarter_pb2.RegisterRequest(reports=[report]))
        await lab.ReportStatus(jumpstarter_pb2.ReportStatusRequest(status=AVAILABLE))
        status = lab.Status(jumpstarter_pb2.StatusRequest())
        await status.read()
    ready.one()
    listen: Any = None
    while True:
        told = await status.read()
        if told.leased and listen is None:
            listen = lab.Listen(jumpstarter_pb2.ListenRequest(lease_name=told.lease_name))
            await lab.ReportStatus(jumpstarter_pb2.ReportStatusRequest(status=LEASE_READY))
        elif not told.leased and listen is not None:
            listen.cancel()
            listen = None
            await lab.ReportStatus(jumpstarter_pb2.ReportStatusRequest(status=AVAILABLE))


class Countdown:
    """Is over when so many have said so."""

    def __init__(self, many: int) -> None:
        """Wait for `many`."""
        self._left = many
        self.over = anyio.Event()

    def one(self) -> None:
        """Count one."""
        self._left -= 1
        if not self._left:
            self.over.set()


async def devices(endpoint: str, ca: bytes, people: list[Person]) -> None:
    """Register all exporters as available, and do nothing for their leases."""
    for person in people:
        async with channel(endpoint, ca, "Exporter", person) as one:
            lab: Any = jumpstarter_pb2_grpc.ControllerServiceStub(one)
            report = jumpstarter_pb2.DriverInstanceReport(uuid="root")
            await lab.Register(jumpstarter_pb2.RegisterRequest(reports=[report]))
            await lab.ReportStatus(jumpstarter_pb2.ReportStatusRequest(status=AVAILABLE))
    say("ready")
    await anyio.sleep_forever()


async def exporters(endpoint: str, ca: bytes, people: list[Person]) -> None:
    """Be all exporters until the process is killed."""
    opened, ready = anyio.CapacityLimiter(AT_ONCE), Countdown(len(people))
    async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
        for person in people:
            one = await stack.enter_async_context(channel(endpoint, ca, "Exporter", person))
            stub = jumpstarter_pb2_grpc.ControllerServiceStub(one)
            tasks.start_soon(exporter, stub, opened, ready)
        await ready.over.wait()
        say("ready")


@dataclass(frozen=True)
class Crowd:
    """Clients, each with a connection of its own."""

    services: list[ClientService]

    async def grants(self, many: int) -> dict[str, float]:
        """Lease one device after the other, and keep them; the answer has the exporter."""
        times: list[float] = []
        for number in range(many):
            service = self.services[number % len(self.services)]
            began = perf_counter()
            lease = await create_lease(service, wish(), new_lease_name())
            times.append(perf_counter() - began)
            if not lease.exporter:
                raise RuntimeError("a device that should be free was not granted")
        return spread("grant_ms", times)

    async def turns(self, many: int) -> dict[str, float]:
        """Lease and release one device, with nobody else about."""
        times: list[float] = []
        for number in range(many):
            service = self.services[number % len(self.services)]
            began = perf_counter()
            lease = await create_lease(service, wish(), new_lease_name())
            times.append(perf_counter() - began)
            await service.DeleteLease(name=lease.name)
        return spread("grant_ms", times)

    async def churn(self, seconds: float) -> dict[str, float]:
        """Lease and release, all clients at once, for so long."""
        times: list[float] = []
        began = perf_counter()

        async def one(service: ClientService) -> None:
            while perf_counter() - began < seconds:
                start = perf_counter()
                lease = await create_lease(service, wish(), new_lease_name())
                await wait_until_granted(service, lease, lambda _: None)
                times.append(perf_counter() - start)
                await service.DeleteLease(name=lease.name)

        async with anyio.create_task_group() as tasks:
            for service in self.services:
                tasks.start_soon(one, service)
        return {
            "leases_per_s": len(times) / (perf_counter() - began),
            "clients": len(self.services),
            **spread("grant_ms", times),
        }

    async def handover(self, waiting: int, turns: int) -> dict[str, float]:
        """Release the one device, and see how long the first who waits takes to learn of it."""
        times: list[float] = []
        first = await create_lease(self.services[0], wish(), new_lease_name())
        granted: dict[str, tuple[anyio.Event, float]] = {}
        line = [new_lease_name() for _ in range(waiting + turns)]
        queued: list[anyio.Event] = []

        async def wait(number: int) -> None:
            service = self.services[number % len(self.services)]
            lease = await create_lease(service, wish(), line[number])
            queued[number].set()
            await wait_until_granted(service, lease, lambda _: None)
            granted[line[number]] = granted[line[number]][0], perf_counter()
            granted[line[number]][0].set()

        async with anyio.create_task_group() as tasks:

            async def join(number: int) -> None:
                queued.append(anyio.Event())
                granted[line[number]] = anyio.Event(), 0.0
                tasks.start_soon(wait, number)
                await queued[number].wait()

            for number in range(waiting):
                await join(number)
            holder, service = first.name, self.services[0]
            for number in range(turns):
                began = perf_counter()
                await service.DeleteLease(name=holder)
                event, _ = granted[line[number]]
                await event.wait()
                times.append(granted[line[number]][1] - began)
                holder, service = line[number], self.services[number % len(self.services)]
                await join(waiting + number)
            tasks.cancel_scope.cancel()
        return {"waiting": waiting, **spread("handover_ms", times)}


def wish() -> Wish:
    """Return what everybody wants."""
    return Wish(selector="type=board", exporter_name=None, duration=HOUR)


def spread(name: str, times: list[float]) -> dict[str, float]:
    """Return median, 99th percentile and worst of times in seconds, in ms."""
    ordered = sorted(times)
    figures = {
        "": median(ordered),
        "_p99": ordered[int(len(ordered) * 0.99)],
        "_worst": ordered[-1],
    }
    return {name + suffix: value * 1e3 for suffix, value in figures.items()}


@asynccontextmanager
async def crowd(endpoint: str, ca: bytes, people: list[Person]) -> AsyncGenerator[Crowd]:
    """Yield clients that are connected."""
    async with AsyncExitStack() as stack:
        services: list[ClientService] = []
        for person in people:
            one = await stack.enter_async_context(channel(endpoint, ca, "Client", person))
            services.append(ClientService(channel=one, namespace=NAMESPACE))
            await services[-1].ListLeases(page_size=1)
        yield Crowd(services)


async def clients(endpoint: str, ca: bytes, people: list[Person]) -> None:
    """Be all clients, and do what the lines say."""
    async with crowd(endpoint, ca, people) as some:
        say("ready")
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            match line.split():
                case ["grants", many]:
                    figures = await some.grants(int(many))
                case ["turns", many]:
                    figures = await some.turns(int(many))
                case ["churn", seconds]:
                    figures = await some.churn(float(seconds))
                case ["handover", waiting, turns]:
                    figures = await some.handover(int(waiting), int(turns))
                case words:
                    raise RuntimeError(f"no such task: {words}")
            say(json.dumps(figures))


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run one side."""
    role, endpoint, ca = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    people = [(name, token) for name, token in json.loads(sys.stdin.readline())]
    run = {"exporters": exporters, "devices": devices, "clients": clients}[role]
    anyio.run(
        run,
        endpoint,
        Path(ca).read_bytes(),
        people,
        backend=BACKEND,
        backend_options=dict(LOOP_OPTIONS),
    )
    # What was opened is closed by the end of the process.
    os._exit(0)


if __name__ == "__main__":
    main()
