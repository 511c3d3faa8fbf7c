"""The lab for tests of drivers."""

import importlib
import sys
from datetime import timedelta

import pytest
from anyio.from_thread import BlockingPortal
from jumpstarter.client import DriverClient
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.driver import Driver
from jumpstarter.model.errors import (
    ArgumentError,
    ConfigurationError,
    LeaseError,
    MissingDriverError,
)

import jumpstarter_testing
from jumpstarter_testing import lab
from jumpstarter_testing.conftest import Counter, Desk
from jumpstarter_testing.lab import Board, ServedLab, serve_lab, serve_lab_async

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.usefixtures("no_client")

COUNTER = f"{Counter.__module__}.Counter"


def test_package_has_its_names():
    assert jumpstarter_testing.serve_lab is serve_lab
    assert jumpstarter_testing.Board is Board


def test_only_device_needs_no_choice(desk_lab: ServedLab):
    with desk_lab.lease() as client:
        assert type(client) is DriverClient
        assert client.call("next") == 1


def test_each_lease_has_a_device_in_its_initial_state(desk_lab: ServedLab):
    for _ in range(2):
        with desk_lab.lease("kind=desk") as client:
            assert client.call("next") == 1


def test_streams_pass_the_router(desk_lab: ServedLab):
    data = bytes(range(256)) * 1024
    with desk_lab.lease() as client, client.children["console"].stream() as console:
        console.send(data)
        received = b""
        while len(received) < len(data):
            received += console.receive()
    assert received == data


def test_devices_are_chosen_by_labels_or_name():
    boards = {
        "first": Board(Counter, {"kind": "a"}),
        "second": {"one": {"type": COUNTER}, "two": {"type": COUNTER}},
    }
    with serve_lab(boards) as served:
        with served.lease("kind=a") as first, served.lease(exporter="second") as second:
            assert first.call("next") == 1
            assert [child.call("next") for child in second.children.values()] == [1, 1]
        with pytest.raises(ArgumentError, match=r"one of \['first', 'second'\]"), served.lease():
            pass


def test_lease_that_fails_is_released(desk_lab: ServedLab):
    with pytest.raises(ZeroDivisionError), desk_lab.lease():
        _ = 1 / 0
    assert desk_lab.client.list_leases().leases == []


def test_device_that_is_taken_is_not_had_in_time(desk_lab: ServedLab):
    with (
        desk_lab.lease(),
        pytest.raises(LeaseError, match=r"no lease within 0\.2 seconds: number 1 in the queue"),
        desk_lab.lease(timeout=0.2),
    ):
        pass


def test_lease_of_a_shell_around_the_tests_is_not_taken(
    desk_lab: ServedLab, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("JMP_LEASE", "of-another-lab")
    with desk_lab.lease() as client:
        assert client.call("next") == 1


def test_client_file_is_for_programs(desk_lab: ServedLab):
    assert desk_lab.client_file.stat().st_mode & 0o777 == 0o600
    config = ClientConfigV1Alpha1.from_file(desk_lab.client_file)
    with config.lease(exporter_name="desk", duration=timedelta(minutes=1)) as lease:
        assert lease.exporter_name == "desk"


def test_hooks_run_around_a_lease(desk_lab: ServedLab):
    marker = desk_lab.folder / "hook"
    hooks: dict[str, object] = {"beforeLease": {"script": f"touch {marker}"}}
    with serve_lab({"hooked": Board(Counter, hooks=hooks)}) as served, served.lease():
        assert marker.exists()


async def test_lab_on_a_running_event_loop():
    async with (
        BlockingPortal() as portal,
        serve_lab_async({"desk": Desk}, portal) as served,
        served.lease_async() as client,
    ):
        assert await client.call_async("next") == 1


def test_drivers_that_cannot_be_built_are_told_to_the_starter():
    with (
        pytest.raises(ConfigurationError, match=r"^export\.power: .*no\.such\.Driver"),
        serve_lab({"board": {"power": {"type": "no.such.Driver"}}}),
    ):
        pass


def test_factory_that_raises_raises_at_the_starter():
    def broken() -> Driver:
        raise OSError("no such port")

    with pytest.raises(OSError, match=r"^no such port$"), serve_lab({"board": broken}):
        pass


def test_without_the_extra_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "jumpstarter_lab", None)
    with pytest.raises(MissingDriverError) as caught:
        importlib.reload(lab)
    assert "pip install jumpstarter-testing[lab]" in caught.value.message
    assert "\n" not in caught.value.message


FIXTURE = """
import pytest
from jumpstarter_testing import Board
from jumpstarter_testing.conftest import Counter

@pytest.fixture(scope="session")
def lab_exporters():
    return {"board": Board(Counter, {"kind": "x"})}

def test_one(lab):
    with lab.lease("kind=x") as client:
        assert client.call("next") == 1

def test_two(lab):
    with lab.lease("kind=x") as client:
        assert client.call("next") == 1
"""


def test_fixture_runs_a_lab_with_the_exporters_of_another(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    options = ("-p", "jumpstarter_testing.plugin", "-p", "no:cacheprovider", "-W", "error")
    pytester.makepyfile(FIXTURE)
    pytester.runpytest_inprocess(*options).assert_outcomes(passed=2)
    pytester.makepyfile("def test_it(lab): pass")
    result = pytester.runpytest_inprocess(*options)
    result.assert_outcomes(errors=1)
    assert [line for line in result.outlines if line.startswith("override the fixture lab_exp")]
