"""The leases of an exporter: one after the other, hooks around each, nothing of an old holder."""

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import grpc
import pytest
from anyio.lowlevel import checkpoint

from jumpstarter.client.core import ExporterNotReady
from jumpstarter.config.hooks import HookConfigV1Alpha1, HookInstanceConfigV1Alpha1, OnFailure
from jumpstarter.conftest import Certificate
from jumpstarter.exporter import leases
from jumpstarter.exporter.conftest import Probe, until
from jumpstarter.exporter.scripted_test import AVAILABLE, READY, ScriptedLab, scripted_lab
from jumpstarter.model import machine
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.model.status import ExporterStatus

BEFORE, AFTER = "BEFORE_LEASE_HOOK", "AFTER_LEASE_HOOK"
BEFORE_FAILED, AFTER_FAILED = "BEFORE_LEASE_HOOK_FAILED", "AFTER_LEASE_HOOK_FAILED"


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show a failure for a moment only."""
    monkeypatch.setattr(machine, "RELEASE_DELAY", 0.05)


@pytest.fixture
async def lab(certificate: Certificate) -> AsyncGenerator[ScriptedLab]:
    async with scripted_lab(certificate) as lab:
        yield lab


def hook(script: str, on_failure: OnFailure = "warn") -> HookInstanceConfigV1Alpha1:
    return HookInstanceConfigV1Alpha1(script=script, on_failure=on_failure, timeout=30)


def hooks(
    before: str | None = None, after: str | None = None, on_failure: OnFailure = "warn"
) -> HookConfigV1Alpha1:
    return HookConfigV1Alpha1(
        before_lease=None if before is None else hook(before, on_failure),
        after_lease=None if after is None else hook(after, on_failure),
    )


async def test_leases_follow_each_other_with_drivers_of_their_own(lab: ScriptedLab):
    built: list[Probe] = []

    def build() -> Probe:
        built.append(Probe())
        return built[-1]

    async with lab.leased(lab.exporter(build)):
        lab.controller.end()
        await lab.controller.hears(AVAILABLE)
        lab.controller.lease("two")
        await lab.controller.hears(READY)
        async with lab.client("two") as client:
            await client.call_async("note", "second")
    assert [probe.events for probe in built] == [
        ["close"],
        ["reset", "close"],
        ["reset", "second", "close"],
    ]


async def test_a_lease_that_follows_without_a_pause_is_served(lab: ScriptedLab):
    async with lab.leased(lab.exporter(), "one"):
        lab.controller.lease("two")
        await lab.controller.hears(AVAILABLE, READY)


async def test_a_session_ends_by_the_wish_of_its_client_and_the_lease_is_given_back(
    lab: ScriptedLab,
):
    exporter = lab.exporter(hooks=hooks(after="true"))
    async with lab.leased(exporter), lab.client() as client:
        assert await client.end_session_async()
        await lab.controller.hears(AFTER, AVAILABLE, "release one")
        lab.controller.lease("two")
        await lab.controller.hears(READY)


async def test_a_client_can_see_how_its_session_ended(lab: ScriptedLab):
    lab.controller.releases = False
    async with lab.leased(lab.exporter()), lab.client() as client:
        assert await client.end_session_async()
        await lab.controller.hears(AVAILABLE, "release one")
        assert await client.get_status_async() is ExporterStatus.AVAILABLE
        with pytest.raises(ExporterNotReady):
            await client.call_async("echo", 1)


async def test_a_client_that_gives_back_the_lease_is_not_waited_for(
    lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(machine, "RELEASE_DELAY", 600)
    async with lab.leased(lab.exporter()), lab.client() as client:
        assert await client.end_session_async()
        await lab.controller.hears(AVAILABLE)
        lab.controller.end()
        lab.controller.lease("two")
        await lab.controller.hears(READY)


def holding(tmp_path: Path) -> str:
    """Return a script that says that it runs, and goes on until it is let go."""
    fifo = tmp_path / "fifo"
    return f"mkfifo {fifo}; echo runs; touch {tmp_path}/ready; read line < {fifo}"


async def let_go(tmp_path: Path) -> None:
    await anyio.to_thread.run_sync((tmp_path / "fifo").write_text, "go on\n")


async def test_a_client_sees_the_hook_for_which_it_waits(
    lab: ScriptedLab, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    async with lab.serving(lab.exporter(hooks=hooks(holding(tmp_path)))):
        await lab.controller.hears("Register", AVAILABLE, "Status")
        lab.controller.lease("one")
        await lab.controller.hears(BEFORE)
        async with lab.client() as client, client.log_stream_async():
            assert await client.get_status_async() is ExporterStatus.BEFORE_LEASE_HOOK
            await until(lambda: ("exporter:beforeLease", "runs") in names_and_texts(caplog))
            with pytest.raises(ExporterNotReady):
                await client.call_async("echo", 1)
            await let_go(tmp_path)
            await client.wait_for_lease_ready(20)
            assert await client.call_async("echo", 1) == 1


async def test_leases_that_came_and_went_during_a_hook_are_not_served(
    lab: ScriptedLab, tmp_path: Path
):
    once = f"[ -e {tmp_path}/ready ] || {{ {holding(tmp_path)}; }}"
    async with lab.leased(lab.exporter(hooks=hooks(after=once))):
        lab.controller.end()
        await lab.controller.hears(AFTER)
        await until((tmp_path / "ready").exists)
        for lease in ("gone", "gone too", "here"):
            lab.controller.lease(lease)
            lab.controller.end()
        lab.controller.lease("here")
        await let_go(tmp_path)
        await lab.controller.hears(AVAILABLE, READY)


def names_and_texts(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.name, record.getMessage()) for record in caplog.records]


async def test_a_lease_that_ends_during_its_hook_ends_after_it(lab: ScriptedLab, tmp_path: Path):
    exporter = lab.exporter(hooks=hooks(holding(tmp_path), after="true"))
    async with lab.serving(exporter):
        await lab.controller.hears("Register", AVAILABLE, "Status")
        lab.controller.lease("one")
        await lab.controller.hears(BEFORE)
        await until((tmp_path / "ready").exists)
        lab.controller.end()
        await let_go(tmp_path)
        await lab.controller.hears(READY, AFTER, AVAILABLE)


async def test_hooks_know_the_lease_and_its_client(lab: ScriptedLab, tmp_path: Path):
    script = f'echo "$LEASE_NAME $CLIENT_NAME" >> {tmp_path}/log'
    async with lab.serving(lab.exporter(hooks=hooks(script, script))):
        await lab.controller.hears("Register", AVAILABLE, "Status")
        lab.controller.lease("one", "anna")
        await lab.controller.hears(BEFORE, READY)
        lab.controller.lease("one", "berta")
        lab.controller.end()
        await lab.controller.hears(AFTER, AVAILABLE)
    assert (tmp_path / "log").read_text().splitlines()[0] == "one anna"
    assert len((tmp_path / "log").read_text().splitlines()) == 2


async def test_a_hook_may_fail_with_a_warning(lab: ScriptedLab):
    async with lab.serving(lab.exporter(hooks=hooks("exit 3", "exit 4"))):
        await lab.controller.hears("Register", AVAILABLE, "Status")
        lab.controller.lease("one")
        await lab.controller.hears(BEFORE, READY)
        assert lab.controller.messages[READY] == (
            "[HOOK_WARNING] beforeLease hook warning: Hook failed with exit code 3"
        )
        lab.controller.end()
        await lab.controller.hears(AFTER, AVAILABLE)
        assert lab.controller.messages[AVAILABLE] == (
            "[HOOK_WARNING] afterLease hook warning: Hook failed with exit code 4"
        )


async def test_a_beforelease_hook_may_end_the_lease(lab: ScriptedLab):
    exporter = lab.exporter(hooks=hooks("exit 3", "true", "endLease"))
    async with lab.serving(exporter):
        await lab.controller.hears("Register", AVAILABLE, "Status")
        for lease in ("one", "two"):
            lab.controller.lease(lease)
            await lab.controller.hears(BEFORE, BEFORE_FAILED, f"release {lease}", AVAILABLE)
    assert exporter.exit_code is None


async def test_an_afterlease_hook_may_end_the_lease(lab: ScriptedLab):
    exporter = lab.exporter(hooks=hooks(after="exit 3", on_failure="endLease"))
    async with lab.leased(exporter):
        lab.controller.end()
        await lab.controller.hears(AFTER, AFTER_FAILED, AVAILABLE)


async def test_a_beforelease_hook_may_stop_the_exporter(lab: ScriptedLab):
    exporter = lab.exporter(hooks=hooks("exit 3", "true", "exit"))
    lab.controller.lease("one")
    with anyio.fail_after(20):
        await exporter.serve()
    await lab.controller.hears(
        *("Register", AVAILABLE, "Status", BEFORE),
        *(BEFORE_FAILED, "release one", "OFFLINE", "Unregister"),
    )
    assert exporter.exit_code == 1


async def test_an_exporter_that_must_stop_does_not_wait_long_for_the_end_of_its_lease(
    lab: ScriptedLab, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(leases, "GIVE_BACK_SECONDS", 0.05)
    lab.controller.releases = False
    exporter = lab.exporter(hooks=hooks("exit 3", on_failure="exit"))
    lab.controller.lease("one")
    with anyio.fail_after(10):
        await exporter.serve()
    assert exporter.exit_code == 1
    assert lab.controller.heard[-3:] == ["release one", "OFFLINE", "Unregister"]


async def test_an_assignment_that_is_gone_again_stops_nothing(lab: ScriptedLab):
    async with lab.serving(lab.exporter()):
        await lab.controller.hears("Register", AVAILABLE, "Status")
        for number in range(50):
            lab.controller.lease(f"gone {number}")
            lab.controller.end()
            await checkpoint()
        lab.controller.lease("here")
        async with lab.client("here") as client:
            await client.wait_for_lease_ready(10)
            assert await client.call_async("echo", 1) == 1


async def test_an_afterlease_hook_may_stop_the_exporter(lab: ScriptedLab):
    exporter = lab.exporter(hooks=hooks(after="exit 3", on_failure="exit"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(exporter.serve)
        lab.controller.lease("one")
        await lab.controller.hears("Register", AVAILABLE, "Status", READY)
        lab.controller.end()
        await lab.controller.hears(AFTER, AFTER_FAILED, "OFFLINE", "Unregister")
    assert exporter.exit_code == 1


@pytest.mark.parametrize("code", ["UNIMPLEMENTED", "INVALID_ARGUMENT"])
async def test_a_lease_is_given_back_to_an_older_controller(lab: ScriptedLab, code: str):
    lab.controller.refusals["ReleaseLease"] = [grpc.StatusCode[code]]
    async with lab.leased(lab.exporter()), lab.client() as client:
        assert await client.end_session_async()
        await lab.controller.hears(
            AVAILABLE, "ReleaseLease refused", "AFTER_LEASE_HOOK+release", AVAILABLE
        )


@pytest.mark.parametrize("code", ["INTERNAL", "UNAVAILABLE", "UNKNOWN"])
async def test_a_lease_is_given_back_until_it_is_taken(lab: ScriptedLab, code: str):
    lab.controller.refusals["ReleaseLease"] = [grpc.StatusCode[code]]
    async with lab.leased(lab.exporter()), lab.client() as client:
        assert await client.end_session_async()
        await lab.controller.hears(AVAILABLE, "ReleaseLease refused", "release one")


async def test_a_lease_that_is_over_is_not_given_back(lab: ScriptedLab):
    lab.controller.refusals["ReleaseLease"] = [grpc.StatusCode.INTERNAL]
    async with lab.leased(lab.exporter()), lab.client() as client:
        assert await client.end_session_async()
        await lab.controller.hears(AVAILABLE, "ReleaseLease refused")
        lab.controller.lease("two")
        await lab.controller.hears(READY)


async def test_drivers_that_cannot_be_built_cost_the_lease_and_at_last_the_exporter(
    lab: ScriptedLab,
):
    built: list[Probe] = []

    def build() -> Probe:
        if built:
            raise ConfigurationError("export.board: no such device")
        built.append(Probe())
        return built[0]

    exporter = lab.exporter(build)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(exporter.serve)
        lab.controller.lease("one")
        await lab.controller.hears("Register", AVAILABLE, "Status")
        await lab.controller.hears(BEFORE_FAILED, "release one", AVAILABLE)
        assert lab.controller.messages[BEFORE_FAILED] == (
            "the exporter cannot serve the lease: export.board: no such device"
        )
        lab.controller.lease("two")
        await lab.controller.hears(BEFORE_FAILED, "release two", "OFFLINE", "Unregister")
    assert exporter.exit_code == 1


async def test_an_exporter_may_stop_with_its_lease(lab: ScriptedLab):
    exporter = lab.exporter()
    exporter.exit_on_lease_end = True
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(exporter.serve)
        await lab.controller.hears("Register", AVAILABLE, "Status")
        lab.controller.lease("one")
        await lab.controller.hears(READY)
        lab.controller.end()
    assert exporter.exit_code is None


async def test_an_exporter_can_be_asked_to_stop_after_its_lease(lab: ScriptedLab):
    exporter = lab.exporter()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(exporter.serve)
        lab.controller.lease("one")
        await lab.controller.hears("Register", AVAILABLE, "Status", READY)
        exporter.stop(wait_for_lease_exit=True, should_unregister=True)
        async with lab.client() as client:
            assert await client.call_async("echo", 1) == 1
        lab.controller.end()
    await lab.controller.hears(AVAILABLE, "OFFLINE", "Unregister")


async def test_an_exporter_that_stops_now_says_so_while_its_hook_runs(
    lab: ScriptedLab, tmp_path: Path
):
    exporter = lab.exporter(hooks=hooks(after=holding(tmp_path)))
    async with lab.leased(exporter):
        exporter.stop(should_unregister=True)
        await lab.controller.hears("OFFLINE", "Unregister")
        await until((tmp_path / "ready").exists)
        await let_go(tmp_path)
    assert lab.controller.heard == []


async def test_an_exporter_that_stops_now_ends_the_hook_that_makes_it_ready(
    lab: ScriptedLab, tmp_path: Path
):
    exporter = lab.exporter(hooks=hooks(holding(tmp_path), after="true"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(exporter.serve)
        lab.controller.lease("one")
        await lab.controller.hears("Register", AVAILABLE, "Status", BEFORE)
        exporter.stop()
    assert lab.controller.heard == []
