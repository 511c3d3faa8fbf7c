"""snmp: sockets of a power strip, switched over SNMP."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from jumpstarter.client.core import DriverError

from .conftest import Clients, Offers, Served

POWER_STRIP = Path(__file__).with_name("power_strip.py")
PLUG = 4


def entry(port: int, timeout: float) -> str:
    return f"""
type: jumpstarter_driver_snmp.driver.SNMPServer
config: {{host: 127.0.0.1, port: {port}, user: lab, plug: {PLUG}, timeout: {timeout}}}
"""


@pytest.fixture
def power_strip() -> Iterator[IO[str]]:
    """What a power strip prints: its port, then the state of a socket whenever that is set."""
    command = [sys.executable, POWER_STRIP, str(PLUG)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout
        process.terminate()


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-snmp") == {"SNMPServer"}


def test_build_without_a_power_strip(clients: Clients):
    assert clients(entry(161, 1)) == {"": "jumpstarter_driver_snmp.client.SNMPServerClient"}


def test_call_switches_on_and_off(served: Served, power_strip: IO[str]):
    client = served(entry(int(power_strip.readline()), 10))
    client.on()
    assert power_strip.readline() == "1\n"
    client.off()
    assert power_strip.readline() == "0\n"


def test_call_without_an_answer_is_an_error(served: Served):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        client = served(entry(silent.getsockname()[1], 0.2))
        with pytest.raises(DriverError, match="timed out"):
            client.on()
