"""Measures a lab's controller: how many leases, how soon, and what connected exporters cost.

    python benchmarks/lab.py [ROW ...] [--exporters N] [--seconds N] [--rounds N]

Prints JSON: for each row our figures and what they are to reach. The controller is a process of its
own, with its database on the disk; so are the exporters, which have no device, and the clients,
which are the client library of this release. All goes over TLS, a connection for each. Release
0.9.0 has no controller without Kubernetes to compare with. Nothing here passes or fails.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

import anyio
from jumpstarter.client.administration import connected
from jumpstarter.config.admin import AdminConfig

HERE = Path(__file__).resolve().parent
KIB = 1 << 10
TICKS = os.sysconf("SC_CLK_TCK")
CLIENTS = 50
FREE = 20
TARGETS: Mapping[str, Mapping[str, float]] = {
    "exporters": {"grant_ms": 100, "exporters": 2000},
    "churn": {"leases_per_s": 200},
    "handover": {"handover_ms": 100},
    "crowded": {"handover_ms": 100},
}
"""What the figures are to reach: leases per second at least, milliseconds at most."""

Figures = dict[str, float]
Role = Literal["exporters", "devices", "clients"]


@dataclass(frozen=True)
class Lab:
    """A controller that runs."""

    process: "subprocess.Popen[str]"
    folder: Path
    config: AdminConfig

    def cpu_seconds(self) -> float:
        """Return the processor seconds that the controller has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").split()
        return (int(fields[13]) + int(fields[14])) / TICKS

    def memory(self) -> float:
        """Return its resident memory, in KiB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines()
        (value,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
        return float(value)

    @contextmanager
    def people(self, role: Role, count: int) -> Generator["subprocess.Popen[str]"]:
        """Run so many exporters or clients; they are connected."""
        members = anyio.run(made, self.config, role, count)
        ca = self.folder / "ca.pem"
        words = role, self.config.endpoint, ca
        with started([sys.executable, HERE / "lab_load.py", *words]) as process:
            say(process, json.dumps(members))
            hear(process)
            yield process


async def made(config: AdminConfig, role: Role, count: int) -> list[tuple[str, str]]:
    """Make exporters or clients; return their names and tokens."""
    async with connected(config) as lab:

        async def one(number: int) -> tuple[str, str]:
            if role == "clients":
                found = await lab.create_client(f"client-{number}")
            else:
                labels = {"type": "board", "rack": f"rack-{number % 40}", "number": str(number)}
                found = await lab.create_exporter(f"board-{number:04}", labels)
            return found.metadata.name, found.token or ""

        return [await one(number) for number in range(count)]


@contextmanager
def started(command: Sequence[object]) -> Generator["subprocess.Popen[str]"]:
    """Run a process that talks over its standard input and output."""
    with subprocess.Popen(
        [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def running(folder: Path) -> Generator[Lab]:
    """Run a controller."""
    words = "--data", folder, "--grpc", "127.0.0.1:0", "--log-level", "WARNING"
    with started([sys.executable, "-m", "jumpstarter_controller", *words]) as process:
        file = folder / "admin.yaml"
        while not file.exists():
            # Another process, which has no other way to say that it is ready.
            time.sleep(0.05)  # noqa: TID251 - see above
        config = AdminConfig.load(file)
        (folder / "ca.pem").write_bytes(b64decode(config.tls.ca))
        yield Lab(process, folder, config)


def hear(process: "subprocess.Popen[str]") -> str:
    """Return the next line that a process prints."""
    if process.stdout is None or not (line := process.stdout.readline()):
        raise RuntimeError(f"a process ended: {process.args!r}")
    return line.strip()


def say(process: "subprocess.Popen[str]", line: str) -> None:
    """Give a process a line."""
    if process.stdin is not None:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()


def ask(process: "subprocess.Popen[str]", line: str) -> Figures:
    """Give the clients a task, and return its figures."""
    say(process, line)
    return json.loads(hear(process))


def exporters(lab: Lab, options: argparse.Namespace) -> Figures:
    """Connect exporters, lease all but a few, leave them alone, then lease the others in turn."""
    count = options.exporters
    with lab.people("clients", 8) as clients:
        empty, cpu = lab.memory(), lab.cpu_seconds()
        with lab.people("exporters", count):
            opening = lab.cpu_seconds() - cpu
            busy = ask(clients, f"grants {count - FREE}")
            time.sleep(2)  # noqa: TID251 - until the exporters have reported what they do
            memory, cpu = lab.memory(), lab.cpu_seconds()
            # The figure is what happens when nothing does.
            time.sleep(options.seconds)  # noqa: TID251 - see above
            idle = (lab.cpu_seconds() - cpu) / options.seconds * 100
            return {
                "exporters": count,
                "mib": memory / KIB,
                "kib_per_exporter": (memory - empty) / count,
                "cpu_ms_per_exporter_made_and_connected": opening * 1e3 / count,
                "cpu_percent_idle": idle,
                "filling_grant_ms": busy["grant_ms"],
                "filling_grant_ms_p99": busy["grant_ms_p99"],
                **ask(clients, "turns 200"),
            }


def churn(lab: Lab, options: argparse.Namespace) -> Figures:
    """Let many clients lease and release at once, while exporters do nothing of their own."""
    return churned(lab, options, "devices")


def served(lab: Lab, options: argparse.Namespace) -> Figures:
    """Do the same with exporters that do for each lease what exporters do."""
    return churned(lab, options, "exporters")


def churned(lab: Lab, options: argparse.Namespace, role: Role) -> Figures:
    """Let as many clients as there are exporters lease and release at once."""
    with lab.people(role, CLIENTS), lab.people("clients", CLIENTS) as clients:
        cpu = lab.cpu_seconds()
        figures = ask(clients, f"churn {options.seconds}")
        return figures | {"cpu_percent": (lab.cpu_seconds() - cpu) / options.seconds * 100}


def handover(lab: Lab, _: argparse.Namespace) -> Figures:
    """Let 50 wait for one device."""
    with lab.people("exporters", 1), lab.people("clients", CLIENTS) as clients:
        return ask(clients, f"handover {CLIENTS} 40")


def crowded(lab: Lab, _: argparse.Namespace) -> Figures:
    """Let 1,000 wait for one device."""
    with lab.people("exporters", 1), lab.people("clients", CLIENTS) as clients:
        return ask(clients, "handover 1000 40")


ROWS = {
    "exporters": exporters,
    "churn": churn,
    "served": served,
    "handover": handover,
    "crowded": crowded,
}


def medians(measured: Sequence[Figures]) -> Figures:
    """Return the median of each figure."""
    columns: dict[str, list[float]] = defaultdict(list)
    for figures in measured:
        for name, value in figures.items():
            columns[name].append(value)
    return {name: round(median(values), 2) for name, values in columns.items()}


def row(name: str, options: argparse.Namespace) -> Figures:
    """Measure one row, with a controller of its own for each round."""
    measured: list[Figures] = []
    for _ in range(options.rounds):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            measured.append(ROWS[name](stack.enter_context(running(folder)), options))
    return medians(measured)


def main() -> None:
    """Print the figures as JSON, and a line per row to standard error when it is done."""
    parser = argparse.ArgumentParser(description="Measure the controller.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=1, help="of each row (default 1)")
    parser.add_argument("--exporters", type=int, default=2000, help="connected (default 2000)")
    parser.add_argument("--seconds", type=float, default=20.0, help="idle or busy (default 20)")
    options = parser.parse_args()
    unknown = sorted(set(options.rows) - set(ROWS))
    if unknown:
        parser.error(f"no row {unknown[0]!r}: choose from {', '.join(ROWS)}")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    results: dict[str, object] = {}
    for name in options.rows or ROWS:
        results[name] = {"ours": row(name, options), "target": TARGETS.get(name)}
        sys.stderr.write(f"{name}: {json.dumps(results[name])}\n")
    document = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}",
        "python": platform.python_version(),
        "rounds": options.rounds,
        "results": results,
    }
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
