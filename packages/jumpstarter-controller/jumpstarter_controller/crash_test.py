"""A controller that is killed at any moment keeps every write that it acknowledged.

The number of kills is that of the environment variable JUMPSTARTER_KILLS, by default a few.
"""

import json
import os
import random
import signal
import sqlite3
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from jumpstarter.model.status import ExporterStatus

from jumpstarter_controller.conftest import HOUR, NAMESPACE
from jumpstarter_controller.engine import Engine
from jumpstarter_controller.objects import Client, Device, LeaseRequest
from jumpstarter_controller.store.sql import open_store

KILLS = int(os.environ.get("JUMPSTARTER_KILLS", "20"))
BOARDS = 3
WORKERS = 8

Fact = tuple[str, str, str | None]
"""What was acknowledged: `created` or `released`, the lease, and its exporter."""


def acknowledge(*fact: str | None) -> None:
    """Tell the one who watches; a line is written at once or not at all."""
    os.write(1, json.dumps(fact).encode() + b"\n")


async def load(engine: Engine, client: Client, number: int) -> None:
    """Lease and release for ever."""
    request = LeaseRequest(selector="type=board", duration=(1 + number) * HOUR)
    while True:
        lease = await engine.create_lease(client.ref, NAMESPACE, request)
        acknowledge("created", lease.name, lease.exporter)
        if number % 2 or lease.exporter is None:
            await anyio.lowlevel.checkpoint()
        lease = await engine.release_lease(client.ref, NAMESPACE, lease.name, again=True)
        acknowledge("released", lease.name, lease.exporter)


async def serve(path: Path) -> None:
    """Be the controller that is killed."""
    async with open_store(path) as store, Engine(store) as engine:
        clients = await engine.list_clients(NAMESPACE)
        if not clients:
            clients = [await engine.create_client(NAMESPACE, "ann")]
            for number in range(BOARDS):
                name = f"board-{number}"
                board = await engine.create_exporter(NAMESPACE, name, labels={"type": "board"})
                await engine.register(board.ref, {}, [Device(uuid="root")])
                await engine.report_status(board.ref, ExporterStatus.AVAILABLE)
        acknowledge("ready", str(os.getpid()), None)
        async with anyio.create_task_group() as tasks:
            for number in range(WORKERS):
                tasks.start_soon(load, engine, clients[0], number)


@dataclass(slots=True)
class Victims:
    """Starts one controller after the other, to be killed, and takes down what each acknowledged.

    All are forked from a process that has loaded the program, which takes longer than their lives.
    """

    process: Process
    lines: BufferedByteReceiveStream
    facts: list[Fact] = field(default_factory=list[Fact])

    async def one(self, moment: float) -> None:
        """Start a controller, kill it `moment` seconds after it is ready, and see it dead."""
        assert self.process.stdin is not None
        await self.process.stdin.send(b"go\n")
        pid = int((await self._line())[1])
        with anyio.move_on_after(moment):
            while True:
                self.facts.append(await self._line())
        os.kill(pid, signal.SIGKILL)
        while (fact := await self._line())[0] != "dead":
            self.facts.append(fact)

    async def _line(self) -> Fact:
        what, name, exporter = json.loads(await self.lines.receive_until(b"\n", 4096))
        return what, name, exporter


@asynccontextmanager
async def victims(path: Path) -> AsyncGenerator[Victims]:
    """Give what starts controllers."""
    argv = [sys.executable, "-c", "import sys; from jumpstarter_controller import crash_test"]
    argv[-1] += f"; crash_test.main({str(path)!r})"
    async with await anyio.open_process(argv, stderr=None) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Victims(process, BufferedByteReceiveStream(process.stdout))
        await process.stdin.aclose()


def check(path: Path, facts: list[Fact]) -> None:
    """Compare what was acknowledged with what a look into the file shows."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    rows: list[Any] = connection.execute("select * from leases").fetchall()
    connection.close()
    leases = {row["name"]: row for row in rows}
    live = [row["exporter"] for row in rows if row["exporter"] and row["effective_end"] is None]
    assert len(live) == len(set(live)), "an exporter was granted twice"
    for what, name, exporter in facts:
        row = leases[name]
        assert exporter is None or row["exporter"] == exporter
        if what == "released":
            assert row["released"]
            assert row["effective_end"] is not None
    fences = [(row["exporter"], row["fence"]) for row in rows if row["exporter"]]
    assert len(fences) == len(set(fences)), "a fence was given twice"
    check_times(rows)


def check_times(rows: list[Any]) -> None:
    """Two leases never had one exporter at the same time."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        if row["exporter"]:
            end = row["effective_end"] or 2**62
            spans.setdefault(row["exporter"], []).append((row["fence"], row["effective_begin"]))
            spans[row["exporter"]].append((row["fence"], end))
    for times in spans.values():
        ordered = [time for _, time in sorted(times)]
        assert ordered == sorted(ordered)


@pytest.mark.timeout(60 + KILLS)
async def test_what_was_acknowledged_survives_being_killed(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    chance = random.Random(4)
    async with victims(path) as running:
        for _ in range(KILLS):
            # Not a wait for anything: the moment of the kill is what is tried out.
            await running.one(chance.uniform(0, 0.2))
            check(path, running.facts)
    assert [fact for fact in running.facts if fact[0] == "released"], "nothing was tried"
    async with open_store(path) as store, Engine(store) as engine:
        for lease in (await engine.list_leases(NAMESPACE)).items:
            client = await engine.get_client(NAMESPACE, lease.client)
            await engine.release_lease(client.ref, NAMESPACE, lease.name)
        client = await engine.get_client(NAMESPACE, "ann")
        request = LeaseRequest(selector="type=board", duration=HOUR)
        assert (await engine.create_lease(client.ref, NAMESPACE, request)).exporter is not None


def main(path: str) -> None:
    """Fork a controller for each line that comes, and say when it is dead."""
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            anyio.run(partial(serve, Path(path)))
        os.waitpid(pid, 0)
        acknowledge("dead", "", None)
