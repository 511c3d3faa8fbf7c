"""A controller that goes away, comes back, or says no: what runs goes on, nothing is forgotten."""

import hashlib
import logging
import random
from collections.abc import AsyncGenerator
from dataclasses import replace
from ipaddress import ip_address

import anyio
import grpc
import pytest
from cryptography import x509

from jumpstarter.config.hooks import HookConfigV1Alpha1, HookInstanceConfigV1Alpha1
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.conftest import Certificate, self_signed
from jumpstarter.exporter import attachment, reports
from jumpstarter.exporter.conftest import Probe, collect, echo, until
from jumpstarter.exporter.scripted_test import AVAILABLE, READY, ScriptedLab, scripted_lab
from jumpstarter.model import errors
from jumpstarter.model.status import ExporterStatus
from jumpstarter.rpc.channels import aio_secure_channel, ssl_channel_credentials
from jumpstarter.streams.listeners import TemporaryTcpListener

MIB = 1 << 20
REFUSED = "check endpoint, metadata and token in its file$"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon."""
    for module, name in ((attachment, "FIRST_WAIT"), (attachment, "REFUSED_FIRST_WAIT")):
        monkeypatch.setattr(module, name, 0.02)
    monkeypatch.setattr(attachment, "LONGEST_WAIT", 0.1)
    monkeypatch.setattr(reports, "FIRST_WAIT", 0.02)


@pytest.fixture
async def lab(certificate: Certificate) -> AsyncGenerator[ScriptedLab]:
    async with scripted_lab(certificate) as lab:
        yield lab


async def test_a_transfer_goes_on_without_the_controller(lab: ScriptedLab):
    data = random.Random(1).randbytes(16 * MIB)
    async with TemporaryTcpListener(echo) as target:
        probe = Probe(target=target)
        async with (
            lab.leased(lab.exporter(lambda: probe)),
            lab.client() as client,
            client.stream_async("connect") as stream,
            anyio.create_task_group() as tasks,
        ):
            await stream.send(data[:MIB])
            await lab.kill()

            async def send() -> None:
                for start in range(MIB, len(data), MIB):
                    await stream.send(data[start : start + MIB])
                    if start == 8 * MIB:
                        await lab.start()
                        await lab.controller.hears("Register", READY, "Status")
                await stream.send_eof()

            tasks.start_soon(send)
            received = await collect(stream)
            assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest()
            async with lab.client() as another:
                assert await another.call_async("echo", 1) == 1
        assert probe.events == ["close", "reset", "close"]


async def test_a_lease_that_ended_meanwhile_ends_when_the_controller_is_back(lab: ScriptedLab):
    probe = Probe()
    after = HookInstanceConfigV1Alpha1(script="true", timeout=30)
    exporter = lab.exporter(lambda: probe, HookConfigV1Alpha1(after_lease=after))
    async with lab.leased(exporter), lab.client() as client:
        await lab.kill()
        lab.controller.end()
        await client.call_async("note", "still there")
        await lab.start()
        await lab.controller.hears("Register", READY, "Status", "AFTER_LEASE_HOOK", AVAILABLE)
        await until(lambda: probe.events[-1] == "close")
    assert probe.events == ["close", "reset", "still there", "close"]


async def test_what_happens_meanwhile_is_told_in_order(lab: ScriptedLab):
    after = HookInstanceConfigV1Alpha1(script="true", timeout=30)
    exporter = lab.exporter(hooks=HookConfigV1Alpha1(after_lease=after))
    async with lab.leased(exporter), lab.client() as client:
        await lab.kill()
        assert await client.end_session_async()
        while await client.get_status_async() is not ExporterStatus.AVAILABLE:
            pass
        await lab.start()
        await lab.controller.hears("Register", "AFTER_LEASE_HOOK", AVAILABLE)
        # A client that watches has a moment before its lease is given back.
        await lab.controller.until(lambda: len(lab.controller.heard) >= 2)
        assert sorted(lab.controller.heard) == ["Status", "release one"]


async def test_a_controller_that_comes_late_finds_the_exporter(lab: ScriptedLab):
    await lab.kill()
    async with lab.serving(lab.exporter()):
        await lab.start()
        await lab.controller.hears("Register", AVAILABLE, "Status")


@pytest.mark.parametrize("code", ["UNAVAILABLE", "UNKNOWN", "INTERNAL", "CANCELLED"])
async def test_a_status_stream_that_ends_is_opened_again(lab: ScriptedLab, code: str):
    lab.controller.refusals["Status"] = [grpc.StatusCode[code]] * 3
    async with lab.serving(lab.exporter()):
        for _ in range(3):
            await lab.controller.hears("Register", AVAILABLE, "Status refused")
        await lab.controller.hears("Register", AVAILABLE, "Status")
        lab.controller.lease("one")
        await lab.controller.hears(READY)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "UNKNOWN"])
async def test_listening_that_ends_is_begun_again(lab: ScriptedLab, code: str):
    lab.controller.refusals["Listen"] = [grpc.StatusCode[code]] * 2
    async with lab.serving(lab.exporter()):
        await lab.controller.hears("Register", AVAILABLE, "Status")
        lab.controller.lease("one")
        refused = ["Listen refused"] * 2
        await lab.controller.until(
            lambda: sorted(lab.controller.heard) == sorted([READY, *refused])
        )
        async with lab.client() as client:
            assert await client.call_async("echo", 1) == 1


@pytest.mark.parametrize("code", ["UNAVAILABLE", "INTERNAL", "UNKNOWN", "RESOURCE_EXHAUSTED"])
async def test_a_status_is_told_until_it_is_taken(lab: ScriptedLab, code: str):
    lab.controller.refusals["ReportStatus"] = [grpc.StatusCode[code]] * 2
    async with lab.serving(lab.exporter()):
        refused = ["ReportStatus refused"] * 2
        await lab.controller.hears("Register", *refused, AVAILABLE, "Status")


@pytest.mark.parametrize("code", ["UNIMPLEMENTED", "INVALID_ARGUMENT"])
async def test_a_controller_that_takes_no_status_is_served_too(lab: ScriptedLab, code: str):
    lab.controller.refusals["ReportStatus"] = [grpc.StatusCode[code]]
    async with lab.serving(lab.exporter()):
        await lab.controller.hears("Register", "ReportStatus refused", "Status")
        lab.controller.lease("one")
        await lab.controller.hears(READY)


async def test_an_exporter_that_was_never_accepted_gives_up(lab: ScriptedLab):
    lab.controller.refusals["Register"] = [grpc.StatusCode.UNKNOWN] * 5
    with pytest.raises(errors.ConnectionError, match=f"exporter: no Register; {REFUSED}"):
        await lab.exporter().serve()
    assert lab.controller.heard == ["Register refused"] * 2


async def test_an_exporter_that_was_accepted_never_gives_up(
    lab: ScriptedLab, caplog: pytest.LogCaptureFixture
):
    async with lab.serving(lab.exporter()):
        await lab.controller.hears("Register", AVAILABLE, "Status")
        lab.controller.refusals["Register"] = [grpc.StatusCode.PERMISSION_DENIED] * 4
        await lab.kill()
        await lab.start()
        await lab.controller.hears(*["Register refused"] * 4, "Register", AVAILABLE, "Status")
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in told] == [
        "the controller refuses this exporter: no Register; trying again"
    ]


async def test_a_controller_in_trouble_is_no_reason_to_give_up(lab: ScriptedLab):
    lab.controller.refusals["Register"] = [grpc.StatusCode.INTERNAL] * 4
    async with lab.serving(lab.exporter()):
        await lab.controller.hears(*["Register refused"] * 4, "Register", AVAILABLE, "Status")


async def test_a_controller_with_another_certificate_is_found_without_verification(
    lab: ScriptedLab,
):
    exporter, trust = lab.exporter(), TLSConfigV1Alpha1(insecure=True)

    async def connect() -> grpc.aio.Channel:
        return aio_secure_channel(lab.address, await ssl_channel_credentials(lab.address, trust))

    async with lab.serving(replace(exporter, channel_factory=connect)):
        await lab.controller.hears("Register", AVAILABLE, "Status")
        await lab.kill()
        lab.certificate = self_signed(x509.IPAddress(ip_address("127.0.0.1")))
        await lab.start()
        await lab.controller.hears("Register", AVAILABLE, "Status")


async def test_stopping_without_a_controller_takes_a_moment_only(
    lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("jumpstarter.exporter.registered.LOST_FAREWELL_SECONDS", 0.1)
    with anyio.fail_after(5):
        async with lab.serving(lab.exporter()):
            await lab.controller.hears("Register", AVAILABLE, "Status")
            await lab.kill()
            await until(lambda: "the controller cannot be reached" in caplog.text)
    assert "the controller could not be told that this exporter stops" in caplog.text
