"""Measures how fast a boot loader fetches an image: U-Boot in QEMU, from our server and others.

    python benchmarks/netboot.py [--rounds N] [--servers NAME ...]

Prints JSON: for each window size the MiB/s that U-Boot itself reports, by server, as medians over
the rounds, in which the servers take turns, and the ratio of ours to tftpd-hpa. The board is that
of `examples/netboot`; all runs in a network namespace of its own, where every server may have port
69. A server that cannot run here is in `missing`, with the reason. Nothing here passes or fails.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, cast
from zlib import crc32

import pexpect
import yaml
from tftp_servers import Address, ServerError, serving

EXPORTER = Path(__file__).resolve().parents[1] / "examples" / "netboot" / "exporter.yaml"
SERVERS = ("ours", "tftpd-hpa", "atftpd")
REFERENCE = "tftpd-hpa"
ADDRESS = Address("192.0.2.1", 69)
"""The namespace has it for its own: tftpd-hpa wants an address besides those of 127.0.0.0/8."""

SIZE = 16 << 20
BLOCK_SIZE = 1428
WINDOWS = (1, 16)
PROMPT = "\n=> "
TIMEOUT = 60
INSIDE = "--inside"
"""Tells that the namespace is there; everybody else starts the script without it."""

SPEED = re.compile(r"([\d.]+) ([KMG]i)?B/s")
CHECKSUM = re.compile(r"==> ([0-9a-f]{8})")
MIB = {"": 2.0**-20, "Ki": 2.0**-10, "Mi": 1.0, "Gi": 2.0**10}


class Board:
    """U-Boot at its prompt."""

    def __init__(self, machine: "pexpect.spawn[str]") -> None:
        """Take over a machine that waits at the prompt."""
        self._machine = machine

    def type(self, command: str) -> str:
        """Type a command and return what U-Boot says to it."""
        self._machine.sendline(command)
        self._machine.expect_exact(PROMPT)
        return str(self._machine.before)

    def fetch(self, window: int, checksum: int) -> float:
        """Fetch the image and return the speed that U-Boot reports, in MiB/s.

        Raises:
            ServerError: it did not get the image; the text is what it says.
        """
        self.type(f"setenv tftpwindowsize {window}")
        said = self.type("tftpboot ${loadaddr} board.img")
        speed = SPEED.search(said)
        said += self.type("crc32 ${loadaddr} ${filesize}")
        found = CHECKSUM.search(said)
        if speed is None or found is None or int(found[1], 16) != checksum:
            raise ServerError(said[-300:])
        return float(speed[1]) * MIB[speed[2] or ""]


@contextmanager
def board() -> Generator[Board]:
    """Boot the example's board to its prompt, with the network set up."""
    exporter: dict[str, Any] = yaml.safe_load(EXPORTER.read_text(encoding="utf-8"))
    command: str = exporter["export"]["power"]["config"]["command"]
    machine = cast("pexpect.spawn[str]", pexpect.spawn(command, encoding="utf-8", timeout=TIMEOUT))
    try:
        machine.expect_exact("stop autoboot")
        machine.send(" ")
        machine.expect_exact(PROMPT)
        result = Board(machine)
        result.type("setenv autoload no")
        result.type("dhcp")
        result.type(f"setenv serverip {ADDRESS.host}")
        result.type(f"setenv tftpblocksize {BLOCK_SIZE}")
        yield result
    finally:
        machine.close(force=True)


def measure(name: str, folder: Path, checksum: int) -> dict[int, float]:
    """Return the speeds with one server, by window.

    Raises:
        ServerError: it cannot run here.
    """
    with serving(name, folder / "root", folder / "log", ADDRESS), board() as device:
        return {window: device.fetch(window, checksum) for window in WINDOWS}


def compare(servers: Iterable[str], rounds: int) -> dict[str, Any]:
    """Measure all servers in turn and return the medians."""
    speeds: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # a server may have given up its rights
        (folder / "root").mkdir()
        image = os.urandom(SIZE)
        (folder / "root" / "board.img").write_bytes(image)
        for _ in range(rounds):
            for server in (server for server in servers if server not in missing):
                try:
                    result = measure(server, folder, crc32(image))
                except ServerError as error:
                    missing[server] = str(error)
                    continue
                for window, speed in result.items():
                    speeds[server][window].append(speed)
    return {"u_boot_mib_per_s": table(speeds), "missing": missing}


def table(speeds: dict[str, dict[int, list[float]]]) -> dict[str, dict[str, float]]:
    """Return the medians by window and server, with the ratio of ours to the reference."""
    rows: dict[str, dict[str, float]] = {}
    for window in WINDOWS:
        row = {server: median(of[window]) for server, of in speeds.items() if of[window]}
        if {"ours", REFERENCE} <= set(row):
            row["ratio"] = round(row["ours"] / row[REFERENCE], 2)
        rows[f"{BLOCK_SIZE}x{window}"] = row
    return rows


def enter_namespace() -> int:
    """Run this script again in a network namespace of its own, and return its exit code."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    argv = ["unshare", *as_root, "--net", sys.executable, __file__, INSIDE, *sys.argv[1:]]
    return subprocess.run(argv, check=False).returncode


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description="Measure how fast U-Boot fetches an image.")
    parser.add_argument("--rounds", type=int, default=3, help="how often; medians are printed")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=SERVERS, help="which")
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        sys.exit(enter_namespace())
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", ADDRESS.host, "dev", "lo"], check=True)
    figures = compare(cast("list[str]", arguments.servers), cast("int", arguments.rounds))
    json.dump({"machine": platform.platform(), "size": SIZE} | figures, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
