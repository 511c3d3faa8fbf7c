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

from jumpstarter.common.utils import env
from jumpstarter_driver_composite.client import CompositeClient
from jumpstarter_driver_network.adapters import TcpPortforwardAdapter

TFTP_BLOCK = 8192


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
    print(f"{name:<10} {line.text:<58} {seconds:6.2f} s {speed}".rstrip(), flush=True)


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
    line.text = f"{name}: {line.size / (1 << 20):.1f} MiB, SHA-256 equal"


def switch_on(client: CompositeClient) -> None:
    """Switch the device on and measure what it draws."""
    with step("power") as line:
        client.power.on()
        *_, reading = client.power.read()
        line.text = f"on: {reading.voltage} V, {reading.current} A"


def upload(client: CompositeClient, file: Path) -> None:
    """Send the file to the exporter, and let it compute the checksum there."""
    with step("upload") as line:
        client.tftp.storage.write_from_path(file.name, str(file))
        if client.tftp.storage.hash(file.name) != sha256(file):
            sys.exit("upload: the exporter has another file than the one that was sent")
        line.size = file.stat().st_size
        line.text = f"{file.name} to the storage of tftp, SHA-256 equal"


def netboot(client: CompositeClient, file: Path, folder: Path) -> None:
    """Fetch the file over TFTP, with a public program and with the project's own."""
    with step("tftp") as line:
        client.tftp.start()
        address = f"{client.tftp.get_host()}:{client.tftp.get_port()}"
        line.text = f"listens on {address}"
    url = f"tftp://{address}/{file.name}"
    own = [sys.executable, "-m", "jumpstarter_driver_tftp", "get", url]
    programs = {
        "curl": ["curl", "--silent", "--tftp-blksize", str(TFTP_BLOCK), url, "--output"],
        "own client": [*own, "--blksize", str(TFTP_BLOCK), "--output"],
    }
    for name, command in programs.items():
        copy = folder / name
        with step("tftp") as line:
            subprocess.run([*command, copy], check=True)
            compare(line, name, file, copy)
    client.tftp.stop()


def forward(client: CompositeClient, file: Path, folder: Path) -> None:
    """Open a local port that leads to the device's web page, and load it."""
    copy = folder / "page"
    with (
        step("forward") as line,
        TcpPortforwardAdapter(client=client.network.service) as (host, port),
    ):
        urllib.request.urlretrieve(f"http://{host}:{port}/", copy)
        compare(line, f"GET http://{host}:{port}", file, copy)


def main() -> None:
    """Take the tour with the file named on the command line."""
    file = Path(sys.argv[1])
    with env() as client, tempfile.TemporaryDirectory() as name:
        if not isinstance(client, CompositeClient):
            sys.exit("this exporter offers no tree of drivers: use exporter.yaml beside this file")
        switch_on(client)
        upload(client, file)
        netboot(client, file, Path(name))
        forward(client, file, Path(name))
        with step("power") as line:
            client.power.off()
            line.text = "off"
    print("all of it worked")


if __name__ == "__main__":
    main()
