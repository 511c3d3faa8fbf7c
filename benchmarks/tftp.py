"""Measures our TFTP server beside those of others, on this machine, in one run.

    python benchmarks/tftp.py [ROW ...] [--rounds N] [--seconds S] [--servers NAME ...]

Prints JSON: for each row of the table in issue 3 our figure, that of each peer, the ratio to the
peer that sets the target, and the target; processor seconds of the server per GiB; how much of one
processor the client took. Figures are medians over the rounds, in which the servers take turns. A
server that cannot do a row is null there, and `missing` says why. Nothing here passes or fails.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tftp_abandoned import REQUESTS, abandon
from tftp_servers import COMMANDS, Server, ServerError, serving

HERE = Path(__file__).resolve().parent
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PERIOD = 65_521
"""The files repeat a pattern as long as this prime: a block in a wrong place shows."""
NOT_GRANTED = 3
"""The client's exit code when a server does not grant what the row needs."""
LAST_TRY_SECONDS = 40.0


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        blksize, windowsize: what the client asks for.
        size: bytes of the file.
        reference: the server whose figure sets the target.
        target: how much of that figure ours must reach.
        unit: MB/s of all clients together, files/s, or kB/s of each client.
        processors: how many processors client and server share; None for all.
        clients: how many fetch at once.
        loss, delay: of each packet in each direction: the chance to be lost, seconds on the way.
    """

    blksize: int
    windowsize: int
    size: int
    reference: str
    target: float
    unit: str = "MB/s"
    processors: int | None = None
    clients: int = 1
    loss: float = 0.0
    delay: float = 0.0


ROWS: Mapping[str, Row] = {
    "512x1": Row(512, 1, 16 * MIB, "tftpd-hpa", 0.55, processors=1),
    "1428x1": Row(1428, 1, 16 * MIB, "tftpd-hpa", 0.55, processors=1),
    "1428x16": Row(1428, 16, 32 * MIB, "atftpd", 0.8, processors=2),
    "8192x16": Row(8192, 16, 64 * MIB, "atftpd", 0.8, processors=2),
    "65464x64": Row(65464, 64, 256 * MIB, "atftpd", 0.9, processors=2),
    "files": Row(1428, 1, 4 * KIB, "atftpd", 0.7, unit="files/s", processors=1),
    "16-clients-1428x16": Row(1428, 16, 8 * MIB, "atftpd", 1.0, clients=16),
    "16-clients-1428x1": Row(1428, 1, 4 * MIB, "tftpd-hpa", 0.45, clients=16),
    "lossy-1428x16": Row(
        1428, 16, MIB, "atftpd", 1.0, unit="kB/s", clients=16, loss=0.01, delay=0.005
    ),
    "lossy-1428x1": Row(
        1428, 1, 128 * KIB, "py3tftp", 1.0, unit="kB/s", clients=32, loss=0.01, delay=0.005
    ),
}
ABANDONED = "abandoned"


@dataclass(frozen=True)
class Figures:
    """What one run of the client measured: in the row's unit, and processor seconds."""

    rate: float
    cpu_per_gib: float | None
    client_busy: float


@dataclass(frozen=True)
class Bench:
    """What all rows need: the client, the files to serve, a place for logs, how long to measure."""

    client: Path
    pattern: Path
    root: Path
    scratch: Path
    seconds: float
    processors: Sequence[int]

    def processors_of(self, row: Row) -> Sequence[int]:
        """Return the processors that client and server of a row run on."""
        return self.processors[-(row.processors or 0) :]

    def file_of(self, size: int) -> str:
        """Return the name of a served file of `size` bytes, which is made when it is not there."""
        path = self.root / f"{size}.img"
        if not path.exists():
            pattern = self.pattern.read_bytes()
            path.write_bytes((pattern * (size // PERIOD + 1))[:size])
        return path.name


def fetch(bench: Bench, row: Row, server: Server, turn: int) -> Figures:
    """Run the client once against a server; call it in a thread, which is pinned.

    Raises:
        ServerError: the server cannot do this row.
    """
    where = bench.processors_of(row)
    server.pin(where)
    os.sched_setaffinity(0, where)  # of this thread; what it starts inherits it
    words: Mapping[str, object] = {
        "address": server.address.host,
        "port": server.address.port,
        "name": bench.file_of(row.size),
        "pattern": bench.pattern,
        "size": row.size,
        "blksize": row.blksize,
        "window": row.windowsize,
        "clients": row.clients,
        "jobs": min(row.clients, len(where)),
        "seconds": 0 if row.loss else bench.seconds,
        "loss": row.loss,
        "delay": row.delay,
        "seed": turn,
    }
    # A process per file that nobody waits for leaves no account, unless it lives still.
    keep = ["--keep-last"] if server.forgets_children and row.unit == "MB/s" else []
    before = server.cpu_seconds()
    done = subprocess.run(
        [str(bench.client), *(f"--{name}={value}" for name, value in words.items()), *keep],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServerError(done.stderr.partition("\n")[0])
    cpu = server.cpu_seconds() - before if keep or not server.forgets_children else None
    return figures(row, json.loads(done.stdout), cpu)


def figures(row: Row, measured: Mapping[str, float], cpu: float | None) -> Figures:
    """Turn what the client printed into the row's units."""
    seconds, size = measured["seconds"], measured["bytes"]
    rates = {
        "MB/s": size / seconds / 1e6,
        "files/s": measured["files"] / seconds,
        "kB/s": size / measured["transfer_seconds"] / 1e3,
    }
    busy = measured["cpu_seconds"] / seconds
    return Figures(rates[row.unit], cpu and cpu / (size / GIB), busy)


def run_row(bench: Bench, row: Row, names: Sequence[str], rounds: int) -> dict[str, object]:
    """Measure a row with all servers, in turn."""
    missing: dict[str, str] = {}
    measured: dict[str, list[Figures]] = defaultdict(list)
    with ExitStack() as stack:
        servers = start(bench, stack, names, missing)
        for turn in range(rounds):
            able = [name for name in servers if name not in missing]
            # In lock-step over a slow link, time passes in waiting: the servers need no turns.
            with ThreadPoolExecutor(
                len(servers) or 1 if row.loss and row.windowsize == 1 else 1
            ) as pool:
                runs = {name: pool.submit(fetch, bench, row, servers[name], turn) for name in able}
            for name, run in runs.items():
                try:
                    measured[name].append(run.result())
                except ServerError as error:
                    missing[name] = str(error)
    rates = {
        name: middle(one.rate for one in measured[name]) if name in measured else None
        for name in names
    }
    table: dict[str, object] = {"unit": row.unit, **rates}
    ours, theirs = rates.get("ours"), rates.get(row.reference)
    table["ratio"] = round(ours / theirs, 2) if ours and theirs else None
    table |= {"reference": row.reference, "target": row.target}
    table["cpu_s_per_gib"] = {
        name: middle(one.cpu_per_gib for one in some) for name, some in measured.items()
    }
    table["client_busy"] = {
        name: middle(one.client_busy for one in some) for name, some in measured.items()
    }
    return table | ({"missing": missing} if missing else {})


def middle(values: Iterable[float | None]) -> float | None:
    """Return the median of what was measured, or None when nothing was."""
    known = [value for value in values if value is not None]
    return round(median(known), 2) if known else None


def start(
    bench: Bench, stack: ExitStack, names: Sequence[str], missing: dict[str, str]
) -> dict[str, Server]:
    """Start servers, and note in `missing` why one cannot run."""
    servers: dict[str, Server] = {}
    for name in names:
        try:
            log = bench.scratch / f"{name}.log"
            servers[name] = stack.enter_context(serving(name, bench.root, log))
        except ServerError as error:
            missing[name] = str(error)
    return servers


def run_abandoned(bench: Bench, names: Sequence[str]) -> dict[str, object]:
    """Abandon requests to each server; only ours is waited for until its last try."""
    missing: dict[str, str] = {}
    rates: dict[str, float | None] = dict.fromkeys(names)
    details: dict[str, dict[str, object]] = {}
    image = bench.file_of(MIB)
    for name in names:
        with ExitStack() as stack:
            for server in start(bench, stack, [name], missing).values():
                patience = LAST_TRY_SECONDS if name == "ours" else 0.0
                done = abandon(server, image, patience)
                if done.next_answer_ms is None:
                    missing[name] = done.error
                else:
                    rates[name] = round(done.next_answer_ms, 2)
                details[name] = {"answered": done.answered, "held": done.held}
                if name == "ours":
                    seconds = done.clean_seconds
                    details[name] |= {
                        "left": done.left,
                        "clean_after_s": None if seconds is None else round(seconds, 1),
                    }
    table: dict[str, object] = {"unit": "ms to the next answer", **rates}
    table |= {"target": "at most 50 ms; nothing left", f"of_{REQUESTS}": details}
    return table | ({"missing": missing} if missing else {})


def show(title: str, table: Mapping[str, object], names: Sequence[str]) -> None:
    """Write a row for people on standard error."""
    values = "  ".join(f"{name} {table[name]}" for name in names)
    rest = f"  ratio {table['ratio']} of {table['target']}" if "ratio" in table else ""
    sys.stderr.write(f"{title:20} {values} {table['unit']}{rest}\n")


def prepare(stack: ExitStack, seconds: float) -> Bench:
    """Compile the client, and make a directory to serve, in memory where possible."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - made by mkdtemp
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    root = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory, prefix="tftp-")))
    root.chmod(0o755)  # some servers give up their rights
    client = scratch / "client"
    argv = ["cc", "-std=c11", "-O2", "-o", str(client), str(HERE / "tftp_client.c")]
    try:
        subprocess.run(argv, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"needs a C compiler: {error}")
    pattern = scratch / "pattern"
    pattern.write_bytes(random.Random(PERIOD).randbytes(PERIOD))
    return Bench(client, pattern, root, scratch, seconds, sorted(os.sched_getaffinity(0)))


def options() -> argparse.Namespace:
    """Read the command line."""
    rows = [*ROWS, ABANDONED]
    parser = argparse.ArgumentParser(description="Measure our TFTP server beside others.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(rows))
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server (default 3)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each run (default 0.5)")
    parser.add_argument("--servers", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.rows) - set(rows))
    if unknown:
        parser.error(f"no row {unknown[0]!r}: choose from {', '.join(rows)}")
    return chosen


def main() -> None:
    """Print the comparison as JSON; each row goes to standard error when it is done."""
    chosen = options()
    names: list[str] = chosen.servers
    results: dict[str, object] = {}
    with ExitStack() as stack:
        bench = prepare(stack, chosen.seconds)
        for title in chosen.rows or [*ROWS, ABANDONED]:
            if title == ABANDONED:
                table = run_abandoned(bench, names)
            else:
                table = run_row(bench, ROWS[title], names, chosen.rounds)
            results[title] = table
            show(title, table, names)
    document = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}",
        "python": platform.python_version(),
        "rounds": chosen.rounds,
        "results": results,
    }
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
