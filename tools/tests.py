"""Runs the tests of every package and of the documentation, as many suites at once as CPUs.

Rule: one line for a suite that passed, the end of the output of one that failed.

Usage: python tools/tests.py [--jobs N] [FOLDER ...]
"""

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from running import ROOT, hear_signals, run_tests

LONG = ("jumpstarter-cli", "jumpstarter-controller", "jumpstarter", "jumpstarter-driver-tftp")
"""The packages with the longest suites, which therefore begin first."""

LINES = 80
"""How much of the output of a suite that failed is shown."""


def suites() -> list[str]:
    """Return the folders that hold tests, the longest suites first."""
    packages = sorted(path.name for path in (ROOT / "packages").iterdir())
    ordered = sorted(packages, key=lambda name: LONG.index(name) if name in LONG else len(LONG))
    return [*(f"packages/{name}" for name in ordered), "deploy", "docs", "examples", "fuzz"]


def attempt(folder: str) -> bool:
    """Run the tests of one folder, print the outcome, and return whether all is well."""
    begin = time.monotonic()
    code, output = run_tests([sys.executable, "-m", "pytest", "-q", folder])
    lines = output.splitlines()
    passed = code == 0
    word = "ok  " if passed else "FAIL"
    last = lines[-1] if lines else ""
    print(f"{word} {folder:38} {time.monotonic() - begin:4.0f} s  {last}", flush=True)
    if not passed:
        print("\n".join(lines[-LINES:]), flush=True)
    return passed


def main() -> None:
    """Run the suites named, or all; fail where one did."""
    hear_signals()
    parser = argparse.ArgumentParser(description="Run the tests.")
    parser.add_argument("folders", nargs="*", metavar="FOLDER")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="suites at once")
    options = parser.parse_args()
    begin = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(attempt, options.folders or suites()))
    failed = results.count(False)
    words = "all passed" if not failed else f"{failed} failed"
    print(f"{len(results)} suites, {words}, {time.monotonic() - begin:.0f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
