"""Who holds a lease: the one who dials now, and nothing of whoever held it before."""

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import suppress

import anyio
import grpc
import pytest

from jumpstarter.client import DriverClient
from jumpstarter.client.core import DriverError
from jumpstarter.conftest import Certificate
from jumpstarter.exporter.carry_test import Target
from jumpstarter.exporter.conftest import Probe, until
from jumpstarter.exporter.scripted_test import ScriptedLab, scripted_lab
from jumpstarter.model.errors import ExporterUnreachableError, JumpstarterException
from jumpstarter.streams.listeners import TemporaryTcpListener

CUT_OFF = (DriverError, JumpstarterException, grpc.aio.AioRpcError, anyio.BrokenResourceError)
"""What a client sees whose tunnel is gone; which of them depends on what it did."""


@pytest.fixture
async def lab(certificate: Certificate) -> AsyncGenerator[ScriptedLab]:
    async with scripted_lab(certificate) as lab:
        yield lab


async def hold_on(client: DriverClient, happened: list[str]) -> None:
    """Have a call and a stream open until both are cut off; say what happens."""

    async def call() -> None:
        with suppress(*CUT_OFF):
            async for item in client.streamingcall_async("wait"):
                happened.append(str(item))  # noqa: PERF401 - each as it comes
        happened.append("call ended")

    async def stream() -> None:
        with suppress(*CUT_OFF):
            async with client.stream_async("connect") as connection:
                await connection.send(b"some")
                await connection.receive()
        happened.append("stream ended")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        tasks.start_soon(stream)


@pytest.mark.parametrize("how", ["end", "transfer", "stop"])
async def test_nothing_of_the_old_holder_goes_on(lab: ScriptedLab, how: str):
    service, happened = Target(), list[str]()
    async with TemporaryTcpListener(service) as target:
        probe = Probe(target=target)
        exporter = lab.exporter(lambda: probe)
        async with lab.leased(exporter), lab.client() as anna, anyio.create_task_group() as tasks:
            tasks.start_soon(hold_on, anna, happened)
            await until(lambda: bytes(service.received) == b"some" and happened == ["waiting"])
            match how:
                case "end":
                    lab.controller.end()
                case "transfer":
                    lab.controller.lease("one", "berta")
                case _:
                    exporter.stop()
            with anyio.fail_after(10):
                await service.over.wait()
            await until(lambda: sorted(happened[1:]) == ["call ended", "stream ended"])
        assert probe.events == ["close", "reset", "cleaned up", "close"]


async def test_the_new_holder_is_served_by_the_same_session(lab: ScriptedLab):
    probe = Probe()
    async with lab.leased(lab.exporter(lambda: probe)), lab.client() as anna:
        await anna.call_async("note", "anna")
        lab.controller.lease("one", "berta")
        async with lab.client() as berta:
            await berta.call_async("note", "berta")
    assert probe.events == ["close", "reset", "anna", "berta", "close"]


def fenced(fence: int) -> str:
    """Return what our controller puts before the signature of a router token."""
    claims = json.dumps({"lease": "one", "fence": fence, "side": "exporter"}).encode()
    return f"head.{base64.urlsafe_b64encode(claims).decode()}"


async def test_a_holder_of_whom_nobody_has_told_yet_waits(lab: ScriptedLab):
    probe = Probe()
    async with lab.leased(lab.exporter(lambda: probe)):
        lab.controller.token_prefix = fenced(1)
        async with lab.client() as anna:
            await anna.call_async("note", "anna")
            lab.controller.token_prefix = fenced(2)
            async with anyio.create_task_group() as tasks:

                async def come() -> None:
                    async with lab.client() as berta:
                        await berta.call_async("note", "berta")

                tasks.start_soon(come)
                await lab.controller.until(lambda: lab.controller.dials == 2)
                await anna.call_async("note", "anna still")
                lab.controller.lease("one", "berta")
    assert probe.events == ["close", "reset", "anna", "anna still", "berta", "close"]


async def test_a_holder_of_the_past_is_not_let_in(lab: ScriptedLab):
    probe = Probe()
    async with lab.leased(lab.exporter(lambda: probe)):
        lab.controller.token_prefix = fenced(2)
        async with lab.client() as berta:
            lab.controller.token_prefix = fenced(1)
            with anyio.fail_after(10), pytest.raises(ExporterUnreachableError):
                async with lab.client():
                    pytest.fail("the client was let in")
            await berta.call_async("note", "berta")
    assert probe.events == ["close", "reset", "berta", "close"]
