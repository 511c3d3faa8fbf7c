"""The corpus again, and a little more: what `make fuzz` does, for as long as a test suite has."""

import subprocess
import sys
from pathlib import Path


def test_short_run_finds_nothing():
    program = Path(__file__).with_name("run.py")
    command = [sys.executable, "-B", str(program), "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("no fault") == len(done.stdout.splitlines()) == 7
