"""The mocks, through a real exporter and client."""

import logging
import queue
from collections.abc import Generator
from contextlib import contextmanager
from logging.handlers import QueueHandler

import pytest
from click.testing import CliRunner
from jumpstarter.client.core import DriverMethodNotImplemented
from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver, export
from pydantic import ValidationError

from jumpstarter_driver_power.client import PowerClient, VirtualPowerClient
from jumpstarter_driver_power.common import PowerReading
from jumpstarter_driver_power.driver import (
    MockPower,
    PowerInterface,
    SyncMockPower,
    VirtualPowerInterface,
)

READINGS = [PowerReading(voltage=0, current=0), PowerReading(voltage=5, current=2)]
LINES = [
    "voltage=0.0 V  current=0.0 A  apparent_power=0.0 VA",
    "voltage=5.0 V  current=2.0 A  apparent_power=10.0 VA",
]


class Recorder(PowerInterface, Driver):
    """A supply that remembers what it was told, and never stops measuring."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.told: list[str] = []
        self.stopped = False

    @export
    def on(self) -> None:
        self.told.append("on")

    @export
    def off(self) -> None:
        self.told.append("off")

    @export
    def rescue(self) -> None:
        self.told.append("rescue")

    @export
    def read(self) -> Generator[PowerReading, None, None]:
        self.told.append("read")
        yield READINGS[1]


class VirtualRecorder(VirtualPowerInterface, Driver):
    """A machine that remembers what it was told."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.told: list[object] = []

    @export
    async def on(self) -> None:
        self.told.append("on")

    @export
    async def off(self, destroy: bool = False) -> None:
        self.told.append(destroy)

    @export
    def read(self) -> Generator[PowerReading, None, None]:
        yield from READINGS


class Faulty(Driver):
    """A supply that measures text."""

    @classmethod
    def client(cls) -> str:
        return PowerInterface.client()

    @export
    def read(self) -> Generator[dict[str, object], None, None]:
        yield {"voltage": "5", "current": 2.0}


@contextmanager
def served(driver: Driver) -> Generator[PowerClient]:
    with serve(driver) as client:
        assert isinstance(client, PowerClient)
        yield client


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def client(recorder: Recorder) -> Generator[PowerClient]:
    with served(recorder) as client:
        yield client


def test_apparent_power_is_the_product():
    assert PowerReading(voltage=12, current=0.5).apparent_power == 6


@pytest.mark.parametrize("mock", [MockPower, SyncMockPower])
def test_mocks_log_and_measure(mock: type[MockPower | SyncMockPower]):
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handler = QueueHandler(records)
    exporter_log = logging.getLogger("exporter:driver")
    exporter_log.addHandler(handler)
    exporter_log.setLevel(logging.INFO)
    with served(mock()) as client:
        with client.log_stream():
            client.on()
            _expect(records, "power on")
            client.off()
            _expect(records, "power off")
        assert list(client.read()) == READINGS
    exporter_log.removeHandler(handler)


def _expect(records: queue.SimpleQueue[logging.LogRecord], message: str) -> None:
    """Wait up to a second for each further record until one says `message`."""
    while message not in records.get(timeout=1).getMessage():
        pass


def test_calls_reach_the_driver(recorder: Recorder, client: PowerClient):
    client.on()
    client.off()
    client.rescue()
    assert recorder.told == ["on", "off", "rescue"]


def test_cycle_is_off_then_on(recorder: Recorder, client: PowerClient):
    client.cycle(wait=0)
    assert recorder.told == ["off", "on"]


def test_rescue_of_a_supply_without_it():
    with served(MockPower()) as client, pytest.raises(DriverMethodNotImplemented, match="rescue"):
        client.rescue()


def test_virtual_machine_can_be_destroyed():
    recorder = VirtualRecorder()
    with serve(recorder) as client:
        assert isinstance(client, VirtualPowerClient)
        client.on()
        client.off()
        client.off(destroy=True)
    assert recorder.told == ["on", False, True]


def test_reading_that_is_no_number_is_refused():
    with served(Faulty()) as client, pytest.raises(ValidationError, match="voltage"):
        next(client.read())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["on"], ["on"]),
        (["off"], ["off"]),
        (["cycle", "--wait", "0"], ["off", "on"]),
        (["read"], ["read"]),
        (["read", "-n", "3", "-i", "0"], ["read", "read", "read"]),
    ],
)
def test_commands(recorder: Recorder, client: PowerClient, arguments: list[str], told: list[str]):
    result = CliRunner().invoke(client.cli(), arguments)
    assert result.exit_code == 0, result.output
    assert recorder.told == told


def test_read_prints_each_reading():
    with served(MockPower()) as client:
        result = CliRunner().invoke(client.cli(), ["read", "--count", "2", "--interval", "0"])
    assert result.output.splitlines() == LINES * 2


@pytest.mark.parametrize(
    "arguments", [["cycle", "-w", "-1"], ["read", "-n", "-1"], ["read", "-i", "-1"], ["rescue"]]
)
def test_bad_arguments_reach_no_driver(
    recorder: Recorder, client: PowerClient, arguments: list[str]
):
    result = CliRunner().invoke(client.cli(), arguments)
    assert result.exit_code == 2
    assert recorder.told == []


@pytest.mark.parametrize(("arguments", "told"), [(["off"], False), (["off", "--destroy"], True)])
def test_off_of_a_virtual_machine(arguments: list[str], told: bool):
    recorder = VirtualRecorder()
    with serve(recorder) as client:
        assert isinstance(client, VirtualPowerClient)
        result = CliRunner().invoke(client.cli(), arguments)
    assert result.exit_code == 0, result.output
    assert recorder.told == [told]


def test_descriptions_of_the_configuration_are_the_help():
    driver = MockPower(description="Bench supply", methods_description={"on": "Energize"})
    with served(driver) as client:
        result = CliRunner().invoke(client.cli(), ["--help"])
    assert "Bench supply" in result.output
    assert "Energize" in result.output


def test_report_says_which_client_to_use():
    assert MockPower.client() == "jumpstarter_driver_power.client.PowerClient"
    assert VirtualRecorder.client() == "jumpstarter_driver_power.client.VirtualPowerClient"
    assert MockPower.driver_type == "power"
