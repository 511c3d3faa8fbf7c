"""Measures what a user of a lab gets: everything through its router, each part a process.

    python benchmarks/routed.py [ROW ...] [--rounds N] [--leases N] [--tunnels N] [--seconds N]

Prints JSON: how long it takes from asking for a lease to the first answer of a driver, a port
forward beside `ssh -L`, and what tunnels cost that nobody uses. The lab is `jmp lab up`, the
exporter `jmp run`, the client this process; all goes over TLS. Nothing here passes or fails.
"""

import argparse
import json
import os
import platform
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median

from jumpstarter.client import DriverClient
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter_driver_network.adapters import TcpPortforwardAdapter

HERE = Path(__file__).resolve().parent
PEER = HERE / "loads" / "peer.py"
JMP = Path(sys.executable).with_name("jmp")
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20
HOUR = timedelta(hours=1)
LOCAL = "127.0.0.1"

TARGETS: Mapping[str, Mapping[str, float]] = {"first call": {"median_ms": 150}}
"""What the figures are to reach at most."""

HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How a client begins a connection of HTTP/2 (RFC 9113 §3.4); the far end answers at once."""

EXPORTER = """
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata: {{namespace: default, name: board}}
export:
  power: {{type: jumpstarter_driver_power.driver.MockPower}}
  service:
    type: jumpstarter_driver_network.driver.TcpNetwork
    config: {{host: 127.0.0.1, port: {port}}}
"""

SSHD = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
"""

Figures = dict[str, float]
Process = subprocess.Popen[str]


@dataclass(frozen=True)
class Site:
    """A lab, an exporter, a client of theirs, and the service behind the exporter."""

    lab: Process
    exporter: Process
    client: ClientConfigV1Alpha1
    service: int
    folder: Path


@contextmanager
def started(*command: object, environ: Mapping[str, str] | None = None) -> Generator[Process]:
    """Run a process, ended by SIGTERM; its standard output can be read."""
    with subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **(environ or {})},
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def line_with(process: Process, word: str) -> str:
    """Return the first line with `word` that a process prints."""
    if process.stdout is not None:
        for line in process.stdout:
            if word in line:
                return line.strip()
    raise RuntimeError(f"a process ended: {process.args!r}")


@contextmanager
def site(folder: Path) -> Generator[Site]:
    """Run a lab with one exporter."""
    environ = {"JMP_CLIENT_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with ExitStack() as stack:
        server = stack.enter_context(started(sys.executable, PEER, "serve"))
        service = int(line_with(server, ""))
        addresses = "--grpc", f"{LOCAL}:0", "--router", f"{LOCAL}:0"
        lab = stack.enter_context(started(JMP, "lab", "up", *addresses, environ=environ))
        line_with(lab, "Lab ready")
        file = folder / "exporter.yaml"
        file.write_text(EXPORTER.format(port=service), encoding="utf-8")
        for words in (["add-exporter", str(file)], ["add-client", "me", "--unsafe"]):
            subprocess.run(
                [JMP, "lab", *words], env={**os.environ, **environ}, check=True, capture_output=True
            )
        exporter = stack.enter_context(
            started(JMP, "run", "--exporter-config", file, environ=environ)
        )
        line_with(exporter, "Registered")
        client = ClientConfigV1Alpha1.from_file(folder / "clients" / "me.yaml")
        yield Site(lab, exporter, client, service, folder)


@contextmanager
def leased(where: Site) -> Generator[DriverClient]:
    """Lease the exporter, and yield its client."""
    with (
        where.client.lease(exporter_name="board", duration=HOUR) as lease,
        lease.connect() as client,
    ):
        yield client


def first_call(where: Site, options: argparse.Namespace) -> Figures:
    """Lease, call once, give back; again and again."""
    milliseconds: list[float] = []
    # The first one imports what the others find.
    for _ in range(options.leases + 1):
        began = time.perf_counter()
        with leased(where) as client:
            client.children["power"].call("on")
            milliseconds.append((time.perf_counter() - began) * 1e3)
    milliseconds = sorted(milliseconds[1:])
    return {
        "median_ms": median(milliseconds),
        "p90_ms": milliseconds[len(milliseconds) * 9 // 10],
        "worst_ms": milliseconds[-1],
    }


def forward(where: Site, _: argparse.Namespace) -> Figures:
    """Load a port forward through the router, then one of ssh."""
    with leased(where) as client:
        ours = forwarded(client)
    with ssh_forward(where) as port:
        theirs = loaded(port)
    return {
        **{f"ours_{name}": value for name, value in ours.items()},
        **{f"ssh_{name}": value for name, value in theirs.items()},
        **{f"ratio_{name}": value / theirs[name] for name, value in ours.items()},
    }


def forwarded(client: DriverClient) -> Figures:
    """Return the figures of a port forward to the service behind the exporter."""
    with TcpPortforwardAdapter(client=client.children["service"]) as address:
        return loaded(address[1])


def loaded(port: int) -> Figures:
    """Return the figures of whatever leads from a port to the service."""
    command = [sys.executable, str(PEER), "load", str(port)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@contextmanager
def ssh_forward(where: Site) -> Generator[int]:
    """Forward a port to the service with OpenSSH, as somebody without us would."""
    folder = where.folder
    for name in ("host", "user"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(words, check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    remote, local = free_port(), free_port()
    settings = folder / "sshd_config"
    settings.write_text(SSHD.format(port=remote, folder=folder), encoding="utf-8")
    trust = "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder}/known"
    way = "-L", f"{LOCAL}:{local}:{LOCAL}:{where.service}"
    with started("/usr/sbin/sshd", "-D", "-f", settings):
        answered(remote)
        ssh = "ssh", "-N", "-i", folder / "user", "-p", remote, *trust, *way, LOCAL
        with started(*ssh):
            answered(local)
            yield local


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.create_server((LOCAL, 0)) as sock:
        return sock.getsockname()[1]


def answered(port: int) -> None:
    """Return when somebody listens on a port: another's process has no way to say so."""
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection((LOCAL, port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
        else:
            return


def idle(where: Site, options: argparse.Namespace) -> Figures:
    """Open tunnels that nobody uses."""
    processes = {"lab": where.lab, "exporter": where.exporter}
    with (
        where.client.lease(exporter_name="board", duration=HOUR) as lease,
        lease.serve_unix() as path,
        ExitStack() as stack,
    ):
        opened(path)[0].close()
        before = {name: memory(process) for name, process in processes.items()}
        began = time.perf_counter()
        with ThreadPoolExecutor(8) as pool:
            for sock, _ in pool.map(opened, [path] * options.tunnels):
                stack.enter_context(sock)
        seconds = time.perf_counter() - began
        after = {name: memory(process) for name, process in processes.items()}
        spent = {name: cpu_seconds(process) for name, process in processes.items()}
        time.sleep(options.seconds)  # noqa: TID251 - the figure is what happens when nothing does
        figures: Figures = {"tunnels": options.tunnels, "opened_per_s": options.tunnels / seconds}
        for name, process in processes.items():
            used = cpu_seconds(process) - spent[name]
            figures[f"{name}_mib"] = after[name] / MIB
            figures[f"{name}_kib_per_tunnel"] = (
                (after[name] - before[name]) / 1024 / options.tunnels
            )
            figures[f"{name}_cpu_percent"] = used / options.seconds * 100
        return figures


def opened(path: Path) -> tuple[socket.socket, bytes]:
    """Open a tunnel, and return it with the exporter's first words."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(str(path))
    sock.sendall(HELLO)
    answer = sock.recv(64)
    if not answer:
        raise ConnectionError("a tunnel ended")
    return sock, answer


def memory(process: Process) -> int:
    """Return the resident memory of a process, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    (value,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(value) * 1024


def cpu_seconds(process: Process) -> float:
    """Return the processor seconds that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").split()
    return (int(fields[13]) + int(fields[14])) / TICKS


ROWS: Mapping[str, Callable[[Site, argparse.Namespace], Figures]] = {
    "first call": first_call,
    "forward": forward,
    "idle": idle,
}


def medians(measured: Sequence[Figures]) -> Figures:
    """Return the median of each figure."""
    columns: dict[str, list[float]] = defaultdict(list)
    for figures in measured:
        for name, value in figures.items():
            columns[name].append(value)
    return {name: round(median(values), 2) for name, values in columns.items()}


def main() -> None:
    """Print the figures as JSON, and a line per row to standard error when it is done."""
    parser = argparse.ArgumentParser(description="Measure what a user of a lab gets.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=1, help="of each row (default 1)")
    parser.add_argument("--leases", type=int, default=50, help="in a row (default 50)")
    parser.add_argument("--tunnels", type=int, default=1000, help="unused (default 1000)")
    parser.add_argument("--seconds", type=float, default=20.0, help="unused (default 20)")
    options = parser.parse_args()
    unknown = sorted(set(options.rows) - set(ROWS))
    if unknown:
        parser.error(f"no row {unknown[0]!r}: choose from {', '.join(ROWS)}")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    results: dict[str, object] = {}
    for name in options.rows or ROWS:
        measured: list[Figures] = []
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder, site(Path(folder)) as where:
                measured.append(ROWS[name](where, options))
        results[name] = {"figures": medians(measured), "target": TARGETS.get(name, {})}
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
