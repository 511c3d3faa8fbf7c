"""Sessions and clients joined in one process: in threads of their own, in one loop, with hooks."""

import importlib
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest
import yaml
from anyio.abc import ObjectStream
from anyio.from_thread import BlockingPortal

from jumpstarter.client import DriverClient
from jumpstarter.client.client import client_from_path
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.exporter import Exporter
from jumpstarter.local import (
    create_exporter,
    local_session,
    serve,
    serve_async,
    serve_exporter_unix,
    serve_exporter_unix_async,
)
from jumpstarter.model import machine
from jumpstarter.model.errors import ConfigurationError, HookExecutionError
from jumpstarter.model.rapid_failures import RapidFailures
from jumpstarter.plugins import installed
from jumpstarter.rpc.portal import open_portal
from jumpstarter.streams.memory import create_memory_stream

CONFIG = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata: {{namespace: default, name: desk}}
motd: welcome
export:
  lamp:
    type: {module}.Lamp
    config: {config}
hooks: {hooks}
"""

happened: list[str] = []


class Lamp(Driver):
    """Writes down what it is told."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    def reset(self) -> None:
        happened.append("reset")

    def close(self) -> None:
        happened.append("close")

    @export
    def on(self) -> str:
        happened.append("on")
        return self.name

    @export
    async def on_the_loop(self) -> int:
        return threading.get_ident()

    @export
    def through_another(self) -> str:
        with serve(Lamp(labels={"jumpstarter.dev/name": "inner"})) as client:
            return f"outer {client.call('on')}"

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[ObjectStream[bytes]]:
        here, there = create_memory_stream()
        async with here, there:
            await there.send(b"hello")
            yield here


class Group(Driver):
    """Stands for the package that groups drivers, which the core does without."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"


class Unclosable(Lamp):
    """Cannot be closed."""

    def close(self) -> None:
        super().close()
        raise RuntimeError("stuck")


@pytest.fixture(autouse=True)
def _forget() -> None:
    happened.clear()


@pytest.fixture
def _composite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Offer a group of drivers, where no package does."""
    info = tmp_path / "group-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: group\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[jumpstarter.drivers]\nComposite = {__name__}:Group\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    installed.cache_clear()
    yield
    installed.cache_clear()


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show a failure for a moment only."""
    monkeypatch.setattr(machine, "RELEASE_DELAY", 0.01)


def config_of(config: str = "{}", hooks: str = "{}") -> ExporterConfigV1Alpha1:
    text = CONFIG.format(module=__name__, config=config, hooks=hooks)
    return ExporterConfigV1Alpha1.model_validate(yaml.safe_load(text))


def call(path: Path, name: str, method: str) -> object:
    with open_portal() as portal, ExitStack() as stack:
        connection = client_from_path(path, portal, stack, [], unsafe=True)
        with portal.wrap_async_context_manager(connection) as client:
            return client.children[name].call(method)


def test_serving_a_driver():
    with serve(Lamp(labels={"jumpstarter.dev/name": "lamp"})) as client:
        assert type(client) is DriverClient
        assert client.call("on") == "lamp"
        with client.stream() as stream:
            assert stream.receive() == b"hello"
    assert happened == ["reset", "on", "close"]
    assert [thread.name for thread in threading.enumerate() if "portal" in thread.name] == []


def test_errors_of_the_body_come_as_themselves():
    with pytest.raises(LookupError, match="mine"), serve(Lamp()):
        raise LookupError("mine")
    assert happened == ["reset", "close"]


def test_serving_inside_of_serving():
    with serve(Lamp()) as outer, serve(Lamp()) as inner:
        assert outer.call("on_the_loop") != inner.call("on_the_loop")
        outer_stream, inner_stream = outer.open_stream(), inner.open_stream()
        assert outer_stream.receive() == inner_stream.receive() == b"hello"


def test_a_driver_that_serves_another():
    with serve(Lamp()) as client:
        assert client.call("through_another") == "outer inner"
    assert happened == ["reset", "reset", "on", "close", "close"]


async def test_serving_from_a_thread_with_a_loop():
    with serve(Lamp(labels={"jumpstarter.dev/name": "lamp"})) as client:
        assert client.call("on") == "lamp"


def test_a_driver_that_cannot_be_closed(caplog: pytest.LogCaptureFixture):
    with serve(Unclosable()) as client:
        client.call("on")
    assert happened == ["reset", "on", "close"]
    assert any("stuck" in str(record.exc_info) for record in caplog.records)


def test_closing_the_client_before_leaving():
    with serve(Lamp()) as client:
        client.open_stream()
        client.close()
        client.close()
    assert happened == ["reset", "close"]


async def test_serving_on_this_loop():
    async with BlockingPortal() as portal:
        with ExitStack() as stack:
            async with serve_async(Lamp(), portal, stack) as client:
                assert await client.call_async("on_the_loop") == threading.get_ident()
                assert await anyio.to_thread.run_sync(client.call, "on") == "unknown"


@pytest.mark.usefixtures("_composite")
def test_serving_what_a_file_describes():
    with serve_exporter_unix(config_of(hooks="{beforeLease: {script: exit 1}}")) as path:
        assert call(path, "lamp", "on") == "unknown"
    assert happened == ["reset", "on", "close"]
    assert not path.exists()


@pytest.mark.usefixtures("_composite")
async def test_serving_what_a_file_describes_on_this_loop():
    async with serve_exporter_unix_async(config_of()) as path:
        assert path.is_socket()
    assert happened == ["reset", "close"]


@pytest.mark.usefixtures("_composite")
def test_a_driver_that_cannot_be_built():
    config = config_of(config="{log_level: LOUD}")
    for open_session in (serve_exporter_unix, local_session):
        with pytest.raises(ConfigurationError, match=r"^export\.lamp: .*LOUD"):
            open_session(config).__enter__()
    assert happened == []


@pytest.mark.usefixtures("_composite")
async def test_an_exporter_that_serves_by_itself():
    async with create_exporter(config_of(), standalone=True) as exporter:
        assert (exporter.name, exporter.motd) == ("desk", "welcome")
        async with exporter.open_unix() as (session, path):
            assert path.is_socket()
            assert session.motd == "welcome"


async def created(config: ExporterConfigV1Alpha1) -> Exporter:
    async with create_exporter(config) as exporter:
        return exporter


async def test_an_exporter_needs_what_a_controller_asks_for():
    config = config_of()
    with pytest.raises(ConfigurationError, match="a controller needs endpoint and token"):
        await created(config)
    config.endpoint, config.token = "lab", "secret"
    config.metadata.namespace = None
    with pytest.raises(ConfigurationError, match=r"a controller needs metadata\.namespace$"):
        await created(config)
    config.metadata.namespace = "lab"
    config.endpoint = "https://lab"
    with pytest.raises(ConfigurationError, match="'https://lab' is not an address"):
        await created(config)


async def test_an_exporter_is_what_its_configuration_says():
    config = config_of()
    config.endpoint, config.token, config.metadata.namespace = "lab:1", "secret", "lab"
    config.grpcOptions["grpc.max_send_message_length"] = 7
    config.tls.ca = "certificate"
    config.exit_on_lease_end = True
    config.failure_detection.max_rapid_failures = 3
    config.failure_detection.rapid_failure_window = 9
    exporter = await created(config)
    assert exporter.channel_factory is not None
    assert (exporter.tls.ca, exporter.grpc_options) == ("certificate", config.grpcOptions)
    assert exporter.exit_on_lease_end
    assert exporter.failures == RapidFailures(3, 9)


async def test_an_exporter_by_itself_has_no_leases_to_serve():
    async with create_exporter(config_of(), standalone=True) as exporter:
        with pytest.raises(ConfigurationError, match="its file needs endpoint and token"):
            await exporter.serve()


def hooks_of(tmp_path: Path, before: str, after: str, on_failure: str = "warn") -> str:
    """Return hooks that write into the file `log`, and then run `before` or `after`."""
    log = tmp_path / "log"
    return (
        f'{{beforeLease: {{script: "echo before >> {log}; {before}", onFailure: {on_failure}}}, '
        f'afterLease: {{script: "echo after >> {log}; {after}", onFailure: {on_failure}}}}}'
    )


@pytest.mark.usefixtures("_composite")
def test_hooks_surround_a_local_session(tmp_path: Path):
    log = tmp_path / "log"
    with local_session(config_of(hooks=hooks_of(tmp_path, "true", "true"))) as session:
        assert log.read_text() == "before\n"
        assert call(session.path, "lamp", "on") == "unknown"
        assert session.motd == "welcome"
    assert log.read_text() == "before\nafter\n"
    assert happened == ["reset", "on", "close"]


@pytest.mark.usefixtures("_composite")
def test_a_failure_that_only_warns(tmp_path: Path):
    with local_session(config_of(hooks=hooks_of(tmp_path, "exit 3", "exit 4"))) as session:
        assert call(session.path, "lamp", "on") == "unknown"
    assert (tmp_path / "log").read_text() == "before\nafter\n"


@pytest.mark.usefixtures("_composite")
@pytest.mark.parametrize("on_failure", ["endLease", "exit"])
def test_a_failure_before_the_session_keeps_it_from_beginning(tmp_path: Path, on_failure: str):
    hooks = hooks_of(tmp_path, "exit 3", "true", on_failure)
    with pytest.raises(HookExecutionError) as caught:
        local_session(config_of(hooks=hooks)).__enter__()
    assert caught.value.message == "beforeLease hook: Hook failed with exit code 3"
    assert caught.value.hook_type == "beforeLease"
    assert (tmp_path / "log").read_text() == "before\n"
    assert happened == ["reset", "close"]


@pytest.mark.usefixtures("_composite")
def test_a_failure_after_the_session_is_told(tmp_path: Path):
    def enter_and_leave() -> None:
        with local_session(config_of(hooks=hooks_of(tmp_path, "true", "exit 4", "exit"))):
            happened.append("inside")

    with pytest.raises(HookExecutionError) as caught:
        enter_and_leave()
    assert caught.value.message == "afterLease hook: Hook failed with exit code 4"
    assert caught.value.hook_type == "afterLease"
    assert happened == ["reset", "inside", "close"]


@pytest.mark.usefixtures("_composite")
def test_errors_inside_a_session_come_as_themselves_after_its_hook(tmp_path: Path):
    def fail() -> None:
        with local_session(config_of(hooks=hooks_of(tmp_path, "true", "true"))):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        fail()
    assert (tmp_path / "log").read_text() == "before\nafter\n"
    assert happened == ["reset", "close"]
