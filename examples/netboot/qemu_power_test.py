"""The power switch, with a machine that U-Boot runs on."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from jumpstarter.client.core import DriverError
from jumpstarter.common.utils import serve
from jumpstarter_driver_power.client import PowerClient
from jumpstarter_testing import eventually
from qemu_power import QemuPower

QEMU = "qemu-system-aarch64 -machine virt -cpu cortex-a57 -nographic -net none"
U_BOOT = f"{QEMU} -bios /usr/lib/u-boot/qemu_arm64/u-boot.bin"
TIMEOUT = 30


@pytest.fixture
def driver(tmp_path: Path) -> QemuPower:
    return QemuPower(command=U_BOOT, console=str(tmp_path / "console"))


@pytest.fixture
def power(driver: QemuPower) -> Iterator[PowerClient]:
    with serve(driver) as client:
        assert isinstance(client, PowerClient)
        yield client


def connect(driver: QemuPower) -> socket.socket:
    console = socket.socket(socket.AF_UNIX)
    console.settimeout(TIMEOUT)
    console.connect(driver.console)
    return console


def read_until(console: socket.socket, text: bytes) -> bytes:
    data = b""
    while text not in data:
        piece = console.recv(4096)
        assert piece, f"the console ended after {data!r}"
        data += piece
    return data


def volts(power: PowerClient) -> list[float]:
    return [reading.voltage for reading in power.read()]


def pid(driver: QemuPower) -> int:
    assert driver._machine is not None  # pyright: ignore[reportPrivateUsage] - tells no pid
    return driver._machine.pid  # pyright: ignore[reportPrivateUsage] - as above


def test_a_console_opened_before_the_power_misses_nothing(driver: QemuPower, power: PowerClient):
    with connect(driver) as console:
        power.on()
        assert read_until(console, b"U-Boot 20").lstrip().startswith(b"U-Boot 20")


def test_the_power_tells_whether_it_is_on(power: PowerClient):
    assert volts(power) == [0.0]
    power.on()
    assert volts(power) == [5.0]
    power.off()
    assert volts(power) == [0.0]


def test_switching_twice_changes_nothing(driver: QemuPower, power: PowerClient):
    power.off()
    power.on()
    machine = pid(driver)
    power.on()
    assert pid(driver) == machine
    power.off()
    power.off()


def test_off_ends_the_console_and_on_boots_again(driver: QemuPower, power: PowerClient):
    with connect(driver) as console:
        power.on()
        read_until(console, b"U-Boot 20")
        power.off()
        while console.recv(4096):
            pass
    with connect(driver) as console:
        power.on()
        read_until(console, b"U-Boot 20")


def test_a_machine_that_shuts_itself_down_can_be_cycled(driver: QemuPower, power: PowerClient):
    with connect(driver) as console:
        power.on()
        read_until(console, b"stop autoboot")
        console.sendall(b" poweroff\r")
        read_until(console, b"poweroff ...")
    power.cycle(wait=0)
    with connect(driver) as console:
        read_until(console, b"stop autoboot")


def test_a_machine_that_died_can_be_switched_on(driver: QemuPower, power: PowerClient):
    power.on()
    os.kill(pid(driver), signal.SIGKILL)
    eventually(lambda: pytest.fail("still running") if volts(power) != [0.0] else None)
    power.on()
    assert volts(power) == [5.0]


def test_the_end_of_the_session_is_the_end_of_the_machine(driver: QemuPower):
    with serve(driver) as client:
        client.call("on")
        machine = pid(driver)
    with pytest.raises(ProcessLookupError):
        os.kill(machine, 0)
    assert not Path(driver.console).exists()


def test_what_a_crashed_exporter_left_is_no_obstacle(tmp_path: Path):
    path = tmp_path / "console"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    driver = QemuPower(command=U_BOOT, console=str(path))
    connect(driver).close()
    driver.close()


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("qemu-system-aarch64 -machine nonsense", "unsupported machine type"),
        ("qemu-system-nothing", "No such file or directory: 'qemu-system-nothing'"),
    ],
)
def test_a_machine_that_cannot_start_says_why(tmp_path: Path, command: str, complaint: str):
    driver = QemuPower(command=command, console=str(tmp_path / "console"))
    with serve(driver) as client, pytest.raises(DriverError, match=complaint):
        client.call("on")
