"""A history of clients while the controller is killed, stopped and out of disk, checked afterwards.

What is written down is only what the clients saw; the checker knows nothing of how it came about.
The number of faults is that of the environment variable JUMPSTARTER_FAULTS, by default a few.
"""

import base64
import os
import random
import resource
import signal
import sqlite3
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import anyio
import grpc
import pytest
import yaml
from anyio.abc import Process
from grpc.aio import AioRpcError, Channel
from jumpstarter.rpc.channels import aio_secure_channel
from jumpstarter_protocol import (
    admin_pb2,
    admin_pb2_grpc,
    client_pb2,
    client_pb2_grpc,
    jumpstarter_pb2,
    jumpstarter_pb2_grpc,
)

from jumpstarter_controller import data_directory

FAULTS = int(os.environ.get("JUMPSTARTER_FAULTS", "6"))
PARENT = "namespaces/default"
BOARDS, CLIENTS = 2, 6
AVAILABLE: Any = 2
QUICKLY = {"grpc.initial_reconnect_backoff_ms": 50, "grpc.max_reconnect_backoff_ms": 100}
TRANSIENT = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}

T = TypeVar("T")
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Holding:
    """From when to when a client knew that it had an exporter."""

    lease: str
    exporter: str
    since: float
    until: float


@dataclass
class History:
    """What the clients saw."""

    holdings: list[Holding] = field(default_factory=list[Holding])
    released: set[str] = field(default_factory=set[str])
    failures: int = 0
    goal: int = 0
    reached: anyio.Event = field(default_factory=anyio.Event)

    def held(self, holding: Holding) -> None:
        """Write down that an exporter was had."""
        self.holdings.append(holding)
        if len(self.holdings) == self.goal:
            self.reached.set()

    async def many_more(self, count: int) -> None:
        """Wait until so many more were had."""
        self.goal = len(self.holdings) + count
        await self.reached.wait()


@dataclass
class Host:
    """Where the controller runs, again and again, at one address."""

    data: Path
    address: str = "127.0.0.1:0"
    process: Process | None = None

    async def start(self) -> None:
        """Run the controller, and return when it serves."""
        words = "--data", str(self.data), "--grpc", self.address, "--log-format", "text"
        command = [sys.executable, "-m", "jumpstarter_controller", *words]
        self.process = await anyio.open_process(command, stdout=None)
        assert self.process.stderr is not None
        told = ""
        while "serves on" not in told:
            told += (await self.process.stderr.receive()).decode()
        if self.address.endswith(":0"):
            self.address = told.split("serves on ")[1].split()[0]

    async def kill(self) -> None:
        """End the controller as a power cut would."""
        assert self.process is not None
        self.process.kill()
        await self.process.aclose()

    def limit_files(self, size: int) -> None:
        """Let no file of the controller grow beyond `size`."""
        assert self.process is not None
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, hard))


def identity(token: str, kind: str, name: str) -> Metadata:
    return (
        ("authorization", f"Bearer {token}"),
        ("jumpstarter-kind", kind),
        ("jumpstarter-namespace", "default"),
        ("jumpstarter-name", name),
    )


@asynccontextmanager
async def connected(host: Host) -> AsyncGenerator[tuple[Channel, Metadata]]:
    """Give a channel that outlives the controller's processes, and who the administrator is."""
    document = yaml.safe_load((host.data / "admin.yaml").read_text())
    credentials = grpc.ssl_channel_credentials(base64.b64decode(document["tls"]["ca"]))
    async with aio_secure_channel(host.address, credentials, QUICKLY) as channel:
        yield channel, identity(document["token"], "Admin", document["metadata"]["name"])


async def furnish(channel: Channel, root: Metadata) -> list[Metadata]:
    """Make exporters that are there, and return clients."""
    admin: Any = admin_pb2_grpc.AdminServiceStub(channel)
    lab: Any = jumpstarter_pb2_grpc.ControllerServiceStub(channel)
    for number in range(BOARDS):
        name = f"board-{number}"
        request = admin_pb2.CreateExporterRequest(
            parent=PARENT, exporter_id=name, labels={"type": "board"}
        )
        made = await admin.CreateExporter(request, metadata=root)
        own = identity(made.credential.token, "Exporter", name)
        report = jumpstarter_pb2.DriverInstanceReport(uuid="root")
        await lab.Register(jumpstarter_pb2.RegisterRequest(reports=[report]), metadata=own)
        status = jumpstarter_pb2.ReportStatusRequest(status=AVAILABLE)
        await lab.ReportStatus(status, metadata=own)
    people: list[Metadata] = []
    for number in range(CLIENTS):
        name = f"client-{number}"
        wanted = admin_pb2.CreateClientRequest(parent=PARENT, client_id=name)
        made = await admin.CreateClient(wanted, metadata=root)
        people.append(identity(made.credential.token, "Client", name))
    return people


@dataclass
class Worker:
    """A client that leases, holds and releases, whatever comes in between."""

    service: Any
    who: Metadata
    history: History
    over: anyio.Event
    chance: random.Random

    async def run(self, number: int) -> None:
        turn = 0
        while not self.over.is_set():
            turn += 1
            name = f"{PARENT}/leases/l{number}-{turn}"
            if await self.created(name):
                await self.use(name)

    async def created(self, name: str) -> bool:
        """Ask for a lease; return whether there is one, which a lost answer does not tell."""
        lease = client_pb2.Lease(selector="type=board")
        lease.duration.FromSeconds(3600)
        request = client_pb2.CreateLeaseRequest(
            parent=PARENT, lease_id=name.rpartition("/")[2], lease=lease
        )
        try:
            await self.service.CreateLease(request, metadata=self.who, timeout=5)
        except AioRpcError as error:
            if error.code() not in TRANSIENT:
                raise
            self.history.failures += 1
            return await self.get(name) is not None
        return True

    async def get(self, name: str) -> client_pb2.Lease | None:
        request = client_pb2.GetLeaseRequest(name=name)
        try:
            return await self.insist(lambda: self.service.GetLease(request, **self.options))
        except AioRpcError as error:
            if "not found" not in (error.details() or ""):
                raise
            return None

    async def use(self, name: str) -> None:
        """Wait for the lease, hold it for a moment, and give it back."""
        while True:
            lease = await self.get(name)
            assert lease is not None, f"{name} was acknowledged, and is not there"
            if lease.exporter:
                break
            # Other clients have it, for moments only.
            await anyio.sleep(0.005)
        since = monotonic()
        await anyio.sleep(self.chance.uniform(0, 0.01))
        self.history.held(Holding(name, lease.exporter, since, monotonic()))
        try:
            request = client_pb2.DeleteLeaseRequest(name=name)
            await self.insist(lambda: self.service.DeleteLease(request, **self.options))
        except AioRpcError as error:
            # An answer before this one was lost.
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
        self.history.released.add(name)

    @property
    def options(self) -> dict[str, Any]:
        return {"metadata": self.who, "timeout": 5}

    async def insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call until it is answered."""
        while True:
            try:
                return await call()
            except AioRpcError as error:
                if error.code() not in TRANSIENT:
                    raise
                self.history.failures += 1
                # The controller is away, or its disk is full, until the test ends that.
                await anyio.sleep(0.02)


async def do_harm(host: Host, fault: str) -> None:
    """Let one thing go wrong, and be over again."""
    assert host.process is not None
    match fault:
        case "kill":
            await host.kill()
            await host.start()
        case "stop":
            host.process.send_signal(signal.SIGSTOP)
            await anyio.sleep(0.2)
            host.process.send_signal(signal.SIGCONT)
        case _:
            host.limit_files(4096)
            await anyio.sleep(0.2)
            host.limit_files(resource.RLIM_INFINITY)


def check_holdings(history: History) -> None:
    """Assert that nobody had an exporter while somebody else had it."""
    by_exporter: dict[str, list[Holding]] = defaultdict(list)
    for one in history.holdings:
        by_exporter[one.exporter].append(one)
    for holdings in by_exporter.values():
        holdings.sort(key=lambda one: one.since)
        for one, other in pairwise(holdings):
            assert one.until <= other.since, f"{one} and {other} at the same time"


def check_stored(history: History, database: Path) -> None:
    """Assert that what was acknowledged is in the database."""
    connection = sqlite3.connect(database)
    rows = connection.execute("select name, exporter, fence, effective_end from leases").fetchall()
    connection.close()
    found = {f"{PARENT}/leases/{name}": (exporter, end) for name, exporter, _, end in rows}
    for one in history.holdings:
        assert found[one.lease][0] == one.exporter.rpartition("/")[2]
    for name in history.released:
        assert found[name][1] is not None, f"{name} was released, and lives"
    fences = [(exporter, fence) for _, exporter, fence, _ in rows if exporter]
    assert len(fences) == len(set(fences)), "a fence was given twice"


@pytest.mark.timeout(60 + 5 * FAULTS)
async def test_no_device_is_held_by_two_whatever_happens_to_the_controller(tmp_path: Path) -> None:
    host, history, over = Host(tmp_path / "data"), History(), anyio.Event()
    chance = random.Random(7)
    await host.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(host.kill)
        channel, root = await stack.enter_async_context(connected(host))
        people = await furnish(channel, root)
        service = client_pb2_grpc.ClientServiceStub(channel)
        async with anyio.create_task_group() as tasks:
            for number, who in enumerate(people):
                worker = Worker(service, who, history, over, random.Random(number))
                tasks.start_soon(worker.run, number)
            for number in range(FAULTS):
                await anyio.sleep(chance.uniform(0.05, 0.2))
                await do_harm(host, ("kill", "stop", "full")[number % 3])
            # Nothing goes wrong any more: everybody gets what they ask for.
            with anyio.fail_after(30):
                await history.many_more(2 * CLIENTS)
            over.set()
    assert history.failures, "nothing went wrong"
    check_holdings(history)
    check_stored(history, host.data / data_directory.DATABASE)


def test_the_checker_sees_when_two_have_one_exporter() -> None:
    one, other = Holding("a", "board", 1.0, 3.0), Holding("b", "board", 2.9, 4.0)

    with pytest.raises(AssertionError, match="at the same time"):
        check_holdings(History([other, one]))
    check_holdings(History([one, Holding("b", "board", 3.0, 4.0), Holding("c", "other", 1, 9)]))
