"""Measures our packages beside those of release 0.9.0, in turn, on this machine, in one run.

    python benchmarks/run.py [calls|forward|datagrams|startup|memory ...] [--rounds N]

Prints JSON: for each figure ours, theirs and the ratio (above 1 is better, whatever the figure),
as medians over the rounds. Loads run unpinned and, where it matters, pinned to one processor. A
figure that release 0.9.0 has no part for stands alone. `bare` is what gRPC does with nothing around
it, and `bare_ratio` that to theirs: about what code on grpc.aio can reach. Nothing here passes or
fails.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
LOADS = HERE / "loads"
PEERS = HERE.parent / "tools" / "peers.py"

LOWER_IS_BETTER = ("_ms", "_mib", "_x")


@dataclass(frozen=True)
class Load:
    """One script of `loads/`, run by either interpreter."""

    name: str
    pinned: bool = False
    bare: bool = False
    """Whether `loads/bare.py` knows how to do the same without our packages."""

    @property
    def title(self) -> str:
        """The name in the output."""
        return f"{self.name} (one processor)" if self.pinned else self.name


SUITES: Mapping[str, Sequence[Load]] = {
    "calls": (Load("calls", bare=True), Load("calls", pinned=True, bare=True)),
    "forward": (Load("forward", bare=True), Load("forward", pinned=True, bare=True)),
    "datagrams": (Load("datagrams"), Load("datagrams", pinned=True)),
    "startup": (Load("startup"),),
    "memory": (Load("memory"),),
}


def figures(command: Sequence[str], *, pinned: bool) -> dict[str, float]:
    """Run a load once and return what it measured."""
    processor = {max(os.sched_getaffinity(0))}
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=(lambda: os.sched_setaffinity(0, processor)) if pinned else None,
    )
    return json.loads(done.stdout.splitlines()[-1])


def ratio(name: str, ours: float, theirs: float) -> float:
    """Return how many times better ours is."""
    return theirs / ours if name.endswith(LOWER_IS_BETTER) else ours / theirs


def compare(load: Load, theirs: str, rounds: int) -> dict[str, dict[str, float]]:
    """Measure all sides in turn, `rounds` times each, and return the medians by figure."""
    script = str(LOADS / f"{load.name}.py")
    sides = {"theirs": [theirs, script], "ours": [sys.executable, script]}
    if load.bare:
        sides["bare"] = [sys.executable, str(LOADS / "bare.py"), load.name]
    measured: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(rounds):
        for side, command in sides.items():
            for name, value in figures(command, pinned=load.pinned).items():
                measured[name][side].append(value)
    return {
        name: row(name, {side: median(values) for side, values in of_sides.items()})
        for name, of_sides in measured.items()
    }


def row(name: str, medians: Mapping[str, float]) -> dict[str, float]:
    """Return the medians of a figure with what there is to compare them with."""
    ratios = {"ours": "ratio", "bare": "bare_ratio"}
    return dict(medians) | {
        title: round(ratio(name, medians[side], medians["theirs"]), 2)
        for side, title in ratios.items()
        if side in medians and "theirs" in medians
    }


def main() -> None:
    """Print the comparison as JSON; what is being measured goes to a terminal's standard error."""
    parser = argparse.ArgumentParser(description="Measure the speed beside release 0.9.0.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side (default 3)")
    options = parser.parse_args()
    unknown = sorted(set(options.suites) - set(SUITES))
    if unknown:
        parser.error(f"no suite {unknown[0]!r}: choose from {', '.join(SUITES)}")
    theirs = subprocess.run(
        [sys.executable, str(PEERS), "full"], check=True, capture_output=True, text=True
    ).stdout.strip()
    results: dict[str, object] = {}
    for suite in options.suites or SUITES:
        for load in SUITES[suite]:
            if sys.stderr.isatty():
                sys.stderr.write(f"{load.title} …\n")
            results[load.title] = compare(load, theirs, options.rounds)
    document = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}",
        "python": platform.python_version(),
        "rounds": options.rounds,
        "results": results,
    }
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
