"""A tour of the drivers in `exporter.yaml` beside this file, through their clients.

Run it in a shell of that exporter, which is how `env()` finds it:

    jmp shell --exporter-config exporter.yaml -- python tour.py FILE
"""

import hashlib
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from jumpstarter.common.utils import env
from jumpstarter_driver_network.adapters import TcpPortforwardAdapter
from jumpstarter_driver_network.client import NetworkClient
from jumpstarter_driver_power.client import PowerClient
from jumpstarter_driver_tftp.client import TftpServerClient

BOOT_FILE = "boot.img"
TFTP_BLOCK = "8192"


@dataclass
class Step:
    """One line of the report: what was done, and how many bytes went over."""

    text: str = ""
    size: int = 0


@contextmanager
def step(name: str) -> Generator[Step]:
    """Measure what happens inside, and print the line."""
    line = Step()
    begin = time.perf_counter()
    yield line
    seconds = time.perf_counter() - begin
    speed = f"{line.size / seconds / 1e6:6.0f} MB/s" if line.size else ""
    print(f"{name:<10} {line.text:<62} {seconds:6.2f} s {speed}".rstrip(), flush=True)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compare(line: Step, name: str, original: Path, copy: Path) -> None:
    """Fill in the line of a file that came back.

    Raises:
        SystemExit: it is not the file that was sent.
    """
    if sha256(copy) != sha256(original):
        sys.exit(f"{name}: what came back is not what was sent")
    line.size = original.stat().st_size
    line.text = f"{name}: {line.size:,} bytes, SHA-256 equal"


def switch_on(power: PowerClient) -> None:
    """Switch the device on and measure what it draws."""
    with step("power") as line:
        power.on()
        *_, reading = power.read()
        line.text = f"on: {reading.voltage} V, {reading.current} A"


def upload(tftp: TftpServerClient, file: Path) -> None:
    """Send the file to the exporter, and let it compute the checksum there."""
    with step("upload") as line:
        tftp.storage.write_from_path(BOOT_FILE, str(file))
        line.size = file.stat().st_size
        line.text = f"{file.name} to the storage of tftp, as {BOOT_FILE}"
    with step("checksum") as line:
        if tftp.storage.hash(BOOT_FILE) != sha256(file):
            sys.exit("upload: the exporter has another file than the one that was sent")
        line.text = "SHA-256 here and in the exporter are equal"


def netboot(tftp: TftpServerClient, file: Path, folder: Path) -> None:
    """Fetch the file over TFTP, with a public program and with the project's own."""
    with step("tftp") as line:
        tftp.start()
        address = f"{tftp.get_host()}:{tftp.get_port()}"
        line.text = f"listens on {address}"
    url = f"tftp://{address}/{BOOT_FILE}"
    curl = ["curl", "--silent", "--show-error", "--tftp-blksize", TFTP_BLOCK]
    own = [sys.executable, "-m", "jumpstarter_driver_tftp", "get", "--blksize", TFTP_BLOCK]
    for name, command in {"curl": curl, "own client": own}.items():
        copy = folder / name
        with step("tftp") as line:
            subprocess.run([*command, "--output", copy, url], check=True)
            compare(line, name, file, copy)
    tftp.stop()


def forward(service: NetworkClient, file: Path, folder: Path) -> None:
    """Open a local port that leads to the device's web page, and load it."""
    copy = folder / "page"
    with step("forward") as line, TcpPortforwardAdapter(client=service) as (host, port):
        urllib.request.urlretrieve(f"http://{host}:{port}/", copy)
        compare(line, f"GET http://{host}:{port}", file, copy)


def main() -> None:
    """Take the tour with the file named on the command line."""
    file = Path(sys.argv[1])
    with env() as desk, tempfile.TemporaryDirectory() as name:
        power = cast("PowerClient", desk.children["power"])
        tftp = cast("TftpServerClient", desk.children["tftp"])
        service = cast("NetworkClient", desk.children["network"].children["service"])
        switch_on(power)
        upload(tftp, file)
        netboot(tftp, file, Path(name))
        forward(service, file, Path(name))
        with step("power") as line:
            power.off()
            line.text = "off"


if __name__ == "__main__":
    main()
