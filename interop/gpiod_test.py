"""gpiod: pins. No machine of ours has a chip, so an object stands in for that of the library."""

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pytest
from jumpstarter.client.core import DriverMethodNotImplemented
from jumpstarter.common.exceptions import ConfigurationError

from .conftest import Clients, Offers, Served

PACKAGE = "jumpstarter_driver_gpiod.driver"

# The type checker does not have this library in its environment.
gpiod: Any = import_module("gpiod")
line: Any = import_module("gpiod.line")


@dataclass
class Chip:
    """Keeps the value that each pin was set to; a pin that no one has set is inactive."""

    name: str
    values: dict[int, Any] = field(default_factory=dict[int, Any])

    def get_line_info(self, pin: int) -> "Chip":
        return Chip(f"pin {pin}")

    def request_lines(self, **settings: object) -> "Chip":
        del settings
        return self

    def set_value(self, pin: int, value: object) -> None:
        self.values[pin] = value

    def get_value(self, pin: int) -> object:
        return self.values.get(pin, line.Value.INACTIVE)

    def release(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpiod, "Chip", Chip)


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-gpiod") == {"DigitalInput", "DigitalOutput", "PowerSwitch"}


@pytest.mark.parametrize("name", ["DigitalInput", "DigitalOutput", "PowerSwitch"])
def test_build_says_that_the_chip_is_missing(clients: Clients, name: str):
    with pytest.raises(ConfigurationError, match=rf"{name} cannot be built: .*No such file"):
        clients(f"type: {PACKAGE}.{name}\nconfig: {{device: /dev/no-such-chip, line: 4}}")


@pytest.mark.usefixtures("chip")
def test_call_output_is_read_back(served: Served):
    client = served(f"type: {PACKAGE}.DigitalOutput\nconfig: {{line: 4, bias: pull_up}}")
    client.on()
    assert client.read().name == "ACTIVE"
    client.off()
    assert client.read().name == "INACTIVE"


@pytest.mark.usefixtures("chip")
def test_call_input_is_read(served: Served):
    client = served(f"type: {PACKAGE}.DigitalInput\nconfig: {{line: 5}}")
    assert client.read().name == "INACTIVE"


@pytest.mark.usefixtures("chip")
def test_call_what_a_switch_cannot_do_keeps_its_error(served: Served):
    client = served(f"type: {PACKAGE}.PowerSwitch\nconfig: {{line: 6}}")
    client.on()
    with pytest.raises(DriverMethodNotImplemented):
        list(client.read())
