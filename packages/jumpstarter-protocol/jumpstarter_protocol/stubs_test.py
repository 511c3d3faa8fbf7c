"""The generated code is what its sources say.

Runs in the repository only, because nothing else has the sources.
"""

import subprocess
import sys
from pathlib import Path

GENERATOR = Path(__file__).resolve().parents[3] / "protos" / "generate.py"


def test_fresh_generation_equals_what_is_checked_in() -> None:
    argv = [sys.executable, str(GENERATOR), "--check"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
