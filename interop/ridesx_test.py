"""ridesx: power through a serial port, and images through a program in the place of fastboot."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from .conftest import Clients, Device, Offers, Served

DEVICE = "1234abcd"
FASTBOOT = """#!/bin/sh
case $1 in
  devices) echo "{device}	fastboot" ;;
  *) echo "$*" >> {log}; [ "$3" != flash ] || cp "$5" {flashed} ;;
esac
"""


def entry(serial: str, storage: Path) -> str:
    return f"""
children:
  storage:
    type: jumpstarter_driver_ridesx.driver.RideSXDriver
    config: {{storage_dir: {storage}}}
    children: {{serial: {{ref: serial}}}}
  power:
    type: jumpstarter_driver_ridesx.driver.RideSXPowerDriver
    children: {{serial: {{ref: serial}}}}
  serial:
    type: jumpstarter_driver_pyserial.driver.PySerial
    config: {{url: "{serial}"}}
"""


class Controller:
    """Keeps the commands that arrive on the serial port, and confirms each."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def __call__(self, received: bytes) -> bytes:
        self.commands += received.decode().split("\r")[:-1]
        return b"ok\r\n"


@pytest.fixture
def fastboot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a program that notes its commands in `log`, and keeps the image `flashed`."""
    program = tmp_path / "fastboot"
    paths = {name: tmp_path / name for name in ("log", "flashed")}
    program.write_text(FASTBOOT.format(device=DEVICE, **paths))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-ridesx") == {"RideSXDriver", "RideSXPowerDriver"}


def test_build_with_a_shared_serial_port(clients: Clients, tmp_path: Path):
    assert clients(entry("loop://", tmp_path)) == {
        "": "jumpstarter_driver_composite.client.CompositeClient",
        "storage": "jumpstarter_driver_ridesx.client.RideSXClient",
        "storage.storage": "jumpstarter_driver_opendal.client.OpendalClient",
        "storage.serial": "jumpstarter_driver_pyserial.client.PySerialClient",
        "power": "jumpstarter_driver_ridesx.client.RideSXPowerClient",
        "power.serial": "jumpstarter_driver_pyserial.client.PySerialClient",
        "serial": "jumpstarter_driver_pyserial.client.PySerialClient",
    }


def test_call_power_commands_reach_the_serial_port(served: Served, device: Device, tmp_path: Path):
    controller = Controller()
    client = served(entry(device(controller), tmp_path))
    client.power.on()
    assert "devicePower 1" in controller.commands
    assert CliRunner().invoke(client.cli(), ["power", "off"]).exit_code == 0
    assert controller.commands[-1] == "devicePower 0"


def test_call_image_is_flashed(served: Served, fastboot: Path, tmp_path: Path):
    image = tmp_path / "boot.img"
    image.write_bytes(os.urandom(100_000))
    storage = served(entry("loop://", tmp_path / "storage")).storage
    storage.storage.write_from_path("boot.img", image)
    found = storage.call("detect_fastboot_device", 1, 0.1)
    assert found == {"status": "device_found", "device_id": DEVICE}
    storage.call("flash_with_fastboot", DEVICE, {"boot": "boot.img"})
    assert (fastboot / "flashed").read_bytes() == image.read_bytes()


def test_call_partition_is_erased(served: Served, fastboot: Path, tmp_path: Path):
    storage = served(entry("loop://", tmp_path / "storage")).storage
    assert storage.call("erase_partition", DEVICE, "recoveryinfo")["status"] == "success"
    assert (fastboot / "log").read_text() == f"-s {DEVICE} erase recoveryinfo\n"
