"""An exporter without a controller: its session, the hooks around it, and what ends both."""

import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from google.protobuf import empty_pb2
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.client.core import ExporterNotReady
from jumpstarter.config.hooks import HookConfigV1Alpha1, HookInstanceConfigV1Alpha1, OnFailure
from jumpstarter.conftest import Certificate
from jumpstarter.exporter.conftest import Probe, client_for, stub_for, until
from jumpstarter.exporter.exporter import Exporter
from jumpstarter.exporter.hooks import HookExecutor
from jumpstarter.model import errors, machine
from jumpstarter.model.errors import HookExecutionError
from jumpstarter.model.status import ExporterStatus, LogSource
from jumpstarter.rpc.passphrase import PassphraseInterceptor

CALL_FROM_A_HOOK = """
import os
from jumpstarter.utils.env import env
with env() as client:
    client.call("note", os.environ["LEASE_NAME"] + " " + "{}")
"""


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show a failure for a moment only."""
    monkeypatch.setattr(machine, "RELEASE_DELAY", 0.05)


def hook(
    script: str, on_failure: OnFailure = "warn", exec_: str | None = None
) -> HookInstanceConfigV1Alpha1:
    return HookInstanceConfigV1Alpha1(script=script, on_failure=on_failure, exec_=exec_, timeout=30)


def calling(text: str) -> HookInstanceConfigV1Alpha1:
    """Return a hook that calls the driver as any program does."""
    return hook(CALL_FROM_A_HOOK.format(text), exec_=sys.executable)


def exporter_of(
    probe: Probe,
    before: HookInstanceConfigV1Alpha1 | None = None,
    after: HookInstanceConfigV1Alpha1 | None = None,
) -> Exporter:
    hooks = HookConfigV1Alpha1(before_lease=before, after_lease=after)
    return Exporter(device_factory=lambda: probe, hook_executor=HookExecutor(hooks), motd="welcome")


async def test_a_session_without_hooks_is_ready_at_once():
    probe = Probe()
    async with exporter_of(probe).open_unix() as (session, path), client_for(path) as client:
        assert session.status is ExporterStatus.LEASE_READY
        await client.call_async("note", "called")
    assert probe.events == ["reset", "called", "close"]
    assert session.status is ExporterStatus.AVAILABLE
    assert not path.exists()


async def test_hooks_call_the_drivers_around_the_session():
    probe = Probe()
    exporter = exporter_of(probe, calling("before"), calling("after"))
    async with exporter.open_unix() as (session, path), client_for(path) as client:
        await client.call_async("note", "between")
    assert probe.events == ["reset", "standalone before", "between", "standalone after", "close"]
    assert (session.status, exporter.exit_code) == (ExporterStatus.AVAILABLE, None)


async def test_a_client_is_told_what_the_hook_printed():
    exporter = exporter_of(Probe(), hook("echo powering up"), hook("echo bye"))
    async with exporter.open_unix() as (_, path), stub_for(path) as stub:
        log = stub.LogStream(empty_pb2.Empty())
        while (record := await log.read()).message != "powering up":
            pass
        assert record.source == LogSource.BEFORE_LEASE_HOOK
        await stub.EndSession(jumpstarter_pb2.EndSessionRequest())
        while (record := await log.read()).message != "bye":
            pass
        assert record.source == LogSource.AFTER_LEASE_HOOK
        log.cancel()


async def test_a_beforelease_hook_may_fail_with_a_warning():
    async with exporter_of(Probe(), hook("exit 3")).open_unix() as (session, _):
        assert session.state.current.message == (
            "[HOOK_WARNING] beforeLease hook warning: Hook failed with exit code 3"
        )
        assert session.status is ExporterStatus.LEASE_READY


@pytest.mark.parametrize(("on_failure", "exit_code"), [("endLease", None), ("exit", 1)])
async def test_a_beforelease_hook_may_end_the_session(on_failure: OnFailure, exit_code: int | None):
    probe = Probe()
    exporter = exporter_of(probe, hook("exit 3", on_failure), calling("after"))
    with pytest.raises(HookExecutionError) as caught:
        async with exporter.open_unix():
            pytest.fail("the session began")
    assert caught.value.message == "beforeLease hook: Hook failed with exit code 3"
    assert (caught.value.on_failure, caught.value.hook_type) == (on_failure, "beforeLease")
    assert exporter.exit_code == exit_code
    assert probe.events == ["reset", "close"]


@pytest.mark.parametrize(
    ("on_failure", "status", "message"),
    [
        (
            "warn",
            ExporterStatus.AVAILABLE,
            "[HOOK_WARNING] afterLease hook warning: Hook failed with exit code 4",
        ),
        (
            "endLease",
            ExporterStatus.AFTER_LEASE_HOOK_FAILED,
            "afterLease hook failed: Hook failed with exit code 4",
        ),
    ],
)
async def test_an_afterlease_hook_may_fail(
    on_failure: OnFailure, status: ExporterStatus, message: str
):
    exporter = exporter_of(Probe(), after=hook("exit 4", on_failure))
    async with exporter.open_unix() as (session, _):
        pass
    assert (session.status, session.state.current.message) == (status, message)
    assert exporter.exit_code is None


async def test_an_afterlease_hook_may_stop_the_exporter():
    exporter = exporter_of(Probe(), after=hook("exit 4", "exit"))
    with pytest.raises(HookExecutionError, match="afterLease hook: Hook failed with exit code 4"):
        async with exporter.open_unix():
            pass
    assert exporter.exit_code == 1


async def test_the_afterlease_hook_has_its_turn_when_the_body_fails():
    probe = Probe()
    with pytest.raises(ZeroDivisionError):
        async with exporter_of(probe, after=calling("after")).open_unix():
            raise ZeroDivisionError
    assert probe.events == ["reset", "standalone after", "close"]


async def test_a_client_that_ends_the_session_sees_the_hook_run_once():
    probe = Probe()
    exporter = exporter_of(probe, after=calling("after"))
    async with exporter.open_unix() as (session, path), client_for(path) as client:
        assert await client.end_session_async()
        assert await client.end_session_async()
        await until(lambda: session.status is ExporterStatus.AVAILABLE)
        with pytest.raises(ExporterNotReady, match="exporter status is AVAILABLE"):
            await client.call_async("note", "too late")
    assert probe.events == ["reset", "standalone after", "close"]


async def test_each_session_has_drivers_of_its_own():
    built: list[Probe] = []

    def build() -> Probe:
        built.append(Probe())
        return built[-1]

    exporter = Exporter(device_factory=build)
    for _ in range(2):
        async with exporter.open_unix():
            pass
    assert [probe.events for probe in built] == [["reset", "close"]] * 2


@asynccontextmanager
async def serving_tcp(
    exporter: Exporter, certificate: Certificate, passphrase: str
) -> AsyncGenerator[str]:
    """Serve one session on TCP; yield its address, and wait for its end."""
    address: list[str] = []
    ready = anyio.Event()

    def started(port: int) -> None:
        address.append(f"localhost:{port}")
        ready.set()

    async def serve() -> None:
        await exporter.serve_standalone_tcp(
            "127.0.0.1",
            0,
            tls_credentials=certificate.server,
            interceptors=[PassphraseInterceptor(passphrase)],
            started=started,
        )

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await ready.wait()
        yield address[0]


SECRET = "open sesame"


@pytest.mark.parametrize("by", ["client", "operator"])
async def test_a_session_on_tcp_with_all_that_there_is(certificate: Certificate, by: str):
    probe = Probe()
    exporter = exporter_of(probe, calling("before"), calling("after"))
    async with serving_tcp(exporter, certificate, SECRET) as address:
        with anyio.fail_after(20):
            async with client_for(address, tls_config=certificate.tls, passphrase=SECRET) as client:
                await client.call_async("note", "called")
                if by == "client":
                    assert await client.end_session_async()
        if by == "operator":
            exporter.stop()
    assert probe.events == ["reset", "standalone before", "called", "standalone after", "close"]
    host, _, port = address.rpartition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


@pytest.mark.parametrize("passphrase", [None, "wrong"])
async def test_a_client_without_the_passphrase_is_told_so(
    certificate: Certificate, passphrase: str | None
):
    exporter = exporter_of(Probe())
    async with serving_tcp(exporter, certificate, SECRET) as address:
        message = "^Authentication failed: invalid or missing passphrase$"
        with pytest.raises(errors.ConnectionError, match=message):
            async with client_for(address, tls_config=certificate.tls, passphrase=passphrase):
                pytest.fail("the client was let in")
        exporter.stop()


async def test_a_port_that_is_taken_leaves_nothing_behind():
    probe = Probe()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: is it in use"):
            await exporter_of(probe, calling("before")).serve_standalone_tcp("127.0.0.1", port)
    assert probe.events == ["reset", "close"]


async def test_a_hook_that_fails_ends_the_session_on_tcp():
    probe = Probe()
    exporter = exporter_of(probe, hook("exit 3", "exit"))
    with pytest.raises(HookExecutionError, match="beforeLease hook: Hook failed with exit code 3"):
        await exporter.serve_standalone_tcp(
            "127.0.0.1", 0, started=lambda _: pytest.fail("the session began")
        )
    assert (exporter.exit_code, probe.events) == (1, ["reset", "close"])


async def test_a_client_waits_while_the_hook_runs(tmp_path: Path):
    probe = Probe()
    fifo = tmp_path / "fifo"
    script = f"mkfifo {fifo}; echo {fifo} > {tmp_path}/ready; read line < {fifo}"
    exporter = exporter_of(probe, hook(script))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    async with anyio.create_task_group() as tasks:

        async def serve() -> None:
            await exporter.serve_standalone_tcp("127.0.0.1", port)

        tasks.start_soon(serve)
        await until((tmp_path / "ready").exists)
        async with client_for(f"127.0.0.1:{port}", insecure=True) as client:
            assert await client.get_status_async() is ExporterStatus.BEFORE_LEASE_HOOK
            with pytest.raises(ExporterNotReady, match="BEFORE_LEASE_HOOK"):
                await client.call_async("note", "too early")
            await anyio.to_thread.run_sync(fifo.write_text, "go on\n")
            await client.wait_for_lease_ready(10)
            await client.call_async("note", "in time")
        exporter.stop()
    assert probe.events == ["reset", "in time", "close"]
