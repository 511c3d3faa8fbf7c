"""flashers: a board is brought to its bootloader, with the files of a bundle served to it."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from .bootloader import Bootloader
from .conftest import Clients, Device, FreePort, Offers, Program, Served
from .registry import make_certificate, registry

KERNEL = bytes(range(256)) * 300
DTB = b"device tree"

BUNDLE = {
    "apiVersion": "jumpstarter.dev/v1alpha1",
    "kind": "FlashBundleManifest",
    "metadata": {"name": "board"},
    "spec": {
        "manufacturer": "Acme",
        "link": "",
        "bootcmd": "booti 0x82000000 - 0x84000000",
        "default_target": "emmc",
        "targets": {"emmc": "/dev/mmcblk0"},
        "login": {"login_prompt": "login:", "username": "root", "password": "", "prompt": "#"},
        "kernel": {"file": "data/kernel", "address": "0x82000000"},
        "dtb": {
            "default": "board",
            "address": "0x84000000",
            "variants": {"board": {"file": "data/board.dtb"}},
        },
    },
}
FILES = {
    "manifest.yaml": yaml.safe_dump(BUNDLE).encode(),
    "data/kernel": KERNEL,
    "data/board.dtb": DTB,
}


@dataclass(frozen=True)
class Bench:
    """Where a test keeps its files, and what it connects."""

    folder: Path
    tftp_port: int
    serial: str = "loop://"
    bundle: str = "registry.example/board:latest"

    @property
    def entry(self) -> str:
        """The YAML entry of the flasher, and of the drivers that it uses."""
        return f"""
children:
  storage:
    type: jumpstarter_driver_flashers.driver.TIJ784S4Flasher
    config:
      flasher_bundle: {self.bundle}
      cache_dir: {self.folder}/cache
      tftp_dir: {self.folder}/tftp
      http_dir: {self.folder}/http
    children:
      serial: {{ref: serial}}
      power: {{ref: power}}
      tftp:
        type: jumpstarter_driver_tftp.driver.Tftp
        config: {{root_dir: {self.folder}/tftp, host: 127.0.0.1, port: {self.tftp_port}}}
      http:
        type: jumpstarter_driver_http.driver.HttpServer
        config: {{root_dir: {self.folder}/http, host: 127.0.0.1, port: 0}}
  serial:
    type: jumpstarter_driver_pyserial.driver.PySerial
    config: {{url: "{self.serial}"}}
  power:
    type: jumpstarter_driver_power.driver.MockPower
"""


@pytest.fixture
def registry_address(
    tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    certificate, key = make_certificate(program("openssl"), tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with registry(FILES, certificate, key) as address:
        yield address


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-flashers") == {"RCarS4Flasher", "TIJ784S4Flasher"}


def test_build_adds_what_is_missing(clients: Clients, tmp_path: Path, free_port: FreePort):
    found = clients(Bench(tmp_path, free_port()).entry)
    below = {path.rpartition(".")[2]: client for path, client in found.items() if "." in path}
    assert below == {
        "serial": "jumpstarter_driver_pyserial.client.PySerialClient",
        "power": "jumpstarter_driver_power.client.PowerClient",
        "tftp": "jumpstarter_driver_tftp.client.TftpServerClient",
        "http": "jumpstarter_driver_http.client.HttpServerClient",
        "storage": "jumpstarter_driver_opendal.client.OpendalClient",
        "uboot": "jumpstarter_driver_uboot.client.UbootConsoleClient",
    }


def test_call_board_waits_at_its_bootloader(
    *,
    served: Served,
    device: Device,
    registry_address: str,
    program: Program,
    free_port: FreePort,
    tmp_path: Path,
):
    port = free_port()
    bundle = f"{registry_address}/board:latest"
    bench = Bench(tmp_path, port, device(Bootloader()), bundle)
    client = served(bench.entry)
    with client.storage.bootloader_shell() as serial, serial.pexpect() as console:
        console.sendline("version")
        console.expect_exact("U-Boot 2024.01", timeout=10)
        command = [program("curl"), "--silent", f"tftp://127.0.0.1:{port}/kernel"]
        assert subprocess.run(command, check=True, capture_output=True).stdout == KERNEL
    assert client.storage.call("get_kernel_address") == "0x82000000"


def test_call_command_line(served: Served, tmp_path: Path, free_port: FreePort):
    client = served(Bench(tmp_path, free_port()).entry)
    result = CliRunner().invoke(client.cli(), ["storage", "flash", "--help"])
    assert "--os-image-checksum" in result.output
