"""probe-rs: the commands and settings that reach the program, and what it answers."""

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from .conftest import Clients, Offers, Served

PROGRAM = """#!/bin/sh
echo "$PROBE_RS_CHIP $PROBE_RS_PROTOCOL $PROBE_RS_SPEED: $*" >> {log}
case $1 in
  info) echo "ARM Chip with debug port DPv2" ;;
  read) echo "00000001 deadbeef" ;;
  download) for last; do :; done; sha256sum "$last" | cut -d " " -f 1 ;;
esac
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def entry(tmp_path: Path, log: Path) -> str:
    program = tmp_path / "probe-rs"
    program.write_text(PROGRAM.format(log=log))
    program.chmod(0o755)
    return f"""
type: jumpstarter_driver_probe_rs.driver.ProbeRs
config: {{probe_rs_path: {program}, chip: RP2350, protocol: swd, speed: 4000}}
"""


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-probe-rs") == {"ProbeRs"}


def test_build_with_settings(clients: Clients, entry: str):
    assert clients(entry) == {"": "jumpstarter_driver_probe_rs.client.ProbeRsClient"}


def test_call_settings_reach_the_program(served: Served, entry: str, log: Path):
    assert served(entry).info() == "ARM Chip with debug port DPv2\n"
    assert log.read_text() == "RP2350 swd 4000: info\n"


def test_call_memory_is_read(served: Served, entry: str):
    assert served(entry).read(32, 0x20000000, 2) == [1, 0xDEADBEEF]


def test_call_firmware_arrives_whole(served: Served, entry: str, tmp_path: Path):
    firmware = tmp_path / "firmware.elf"
    firmware.write_bytes(bytes(range(256)) * 3000)
    answer = served(entry).download_file(firmware)
    assert answer.strip() == hashlib.sha256(firmware.read_bytes()).hexdigest()


def test_call_command_line(served: Served, entry: str, log: Path):
    result = CliRunner().invoke(served(entry).cli(), ["reset"])
    assert result.exit_code == 0, result.output
    assert log.read_text().endswith(": reset\n")
