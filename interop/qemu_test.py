"""qemu: a virtual machine that is flashed, switched on, and answers on its console."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from .conftest import Clients, FreePort, Offers, Program, Served

ANSWER = b"the board is up\r\n"

# Answers each byte on the first serial port with the text behind these instructions.
SECTOR = bytes.fromhex(
    "fa 31c0 8ed8 fc"  # no interrupts; ds = 0; forwards
    "bafd03 ec a801 74fb"  # wait until the port has received a byte
    "baf803 ec be2a7c"  # take it; si = the text
    "ac 84c0 74ec"  # next character; at the end wait again
    "50 bafd03 ec a820 74fb 58"  # wait until the port can send
    "baf803 ee ebeb"  # send it
)
SIGNATURE = b"\x55\xaa"

# The type checker knows nothing of what this library holds.
pexpect: Any = import_module("pexpect")


def disk() -> bytes:
    """Return the image of a disk that the firmware of a PC starts."""
    return (SECTOR + ANSWER + b"\0").ljust(510, b"\0") + SIGNATURE + bytes(1 << 20)


def answers(console: Any) -> bool:
    """Return whether the machine answers within a second."""
    console.send("?")
    return console.expect_exact([ANSWER.strip(), pexpect.TIMEOUT], timeout=1) == 0


@pytest.fixture(autouse=True)
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the driver find no KVM: where a machine is itself a guest, KVM may be there and fail."""
    access = os.access

    def no_kvm(path: str | os.PathLike[str], mode: int, **options: bool) -> bool:
        return os.fspath(path) != "/dev/kvm" and access(path, mode, **options)

    monkeypatch.setattr(os, "access", no_kvm)


@pytest.fixture
def entry(free_port: FreePort, program: Program) -> str:
    for name in ("qemu-system-x86_64", "qemu-img"):
        program(name)
    return f"""
type: jumpstarter_driver_qemu.driver.Qemu
config:
  arch: x86_64
  smp: 1
  mem: 128M
  hostfwd:
    ssh: {{protocol: tcp, hostaddr: 127.0.0.1, hostport: {free_port()}, guestport: 22}}
"""


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-qemu") == {"Qemu", "QemuFlasher", "QemuPower"}


def test_build_makes_its_children(clients: Clients, entry: str):
    assert clients(entry) == {
        "": "jumpstarter_driver_qemu.client.QemuClient",
        "power": "jumpstarter_driver_power.client.PowerClient",
        "flasher": "jumpstarter_driver_qemu.client.QemuFlasherClient",
        "console": "jumpstarter_driver_pyserial.client.PySerialClient",
        "vnc": "jumpstarter_driver_network.client.NetworkClient",
        "ssh": "jumpstarter_driver_network.client.NetworkClient",
    }


def test_call_flashed_machine_answers_on_its_console(served: Served, entry: str, tmp_path: Path):
    image = tmp_path / "disk.img"
    image.write_bytes(disk())
    client = served(entry)
    client.set_disk_size("64M")
    client.flasher.flash(image)
    client.power.on()
    with client.console.pexpect() as console:
        # Until the machine has started from its disk, its firmware takes what is sent.
        assert any(answers(console) for _ in range(60))
    with client.vnc.stream() as screen:
        assert screen.receive().startswith(b"RFB ")
    client.power.off()
