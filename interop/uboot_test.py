"""uboot: the prompt of a board, reached over its serial port after a power cycle."""

from pathlib import Path

from .bootloader import DHCP_ANSWER, Bootloader
from .conftest import Clients, Device, Offers, Served


def entry(serial: str | Path) -> str:
    return f"""
type: jumpstarter_driver_uboot.driver.UbootConsole
config: {{prompt: "=>"}}
children:
  serial:
    type: jumpstarter_driver_pyserial.driver.PySerial
    config: {{url: "{serial}"}}
  power:
    type: jumpstarter_driver_power.driver.MockPower
"""


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-uboot") == {"UbootConsole"}


def test_build_with_children(clients: Clients):
    assert clients(entry("loop://")) == {
        "": "jumpstarter_driver_uboot.client.UbootConsoleClient",
        "serial": "jumpstarter_driver_pyserial.client.PySerialClient",
        "power": "jumpstarter_driver_power.client.PowerClient",
    }


def test_call_commands_at_the_prompt(served: Served, device: Device):
    board = Bootloader()
    client = served(entry(device(board)))
    with client.reboot_to_console():
        assert b"U-Boot 2024.01" in client.run_command("version")
        client.set_env("bootargs", "console=ttyS0 quiet")
        assert client.get_env("bootargs") == "console=ttyS0 quiet"
        assert client.get_env("missing") is None
        assert str(client.setup_dhcp().ip_address) == DHCP_ANSWER["ipaddr"]
    assert board.environment["bootargs"] == "console=ttyS0 quiet"
