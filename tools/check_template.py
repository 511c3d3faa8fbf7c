"""Starts a driver from the template in a copy of the workspace, and runs every check on it there.

Rule: what is checked is what a person gets who types `make new-driver`, to the last file.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MADE = shutil.ignore_patterns(
    ".git", ".venv", ".tools", ".peers", ".*_cache", "__pycache__", "_build", "dist"
)
NAME = "coffee-maker"
PACKAGE = f"packages/jumpstarter-driver-{NAME}"
CHECKS = {
    "created": ["make", "--silent", "new-driver", f"NAME={NAME}"],
    "formatted": [".venv/bin/ruff", "format", "--check", "--quiet", PACKAGE],
    "linted": [".venv/bin/ruff", "check", "--quiet", PACKAGE],
    "typed": [".venv/bin/pyright", "--warnings", PACKAGE],
    "locked": ["make", "--silent", "lock-check"],
    "within the contracts": ["make", "--silent", "contracts"],
    "documented": ["make", "--silent", "docs"],
    "tested": [".venv/bin/python", "-m", "pytest", "-q", PACKAGE],
    "tested alone": [".venv/bin/python", "tools/test_alone.py", Path(PACKAGE).name],
    "shown by a valid example": [
        ".venv/bin/jmp",
        "exporter",
        "check",
        f"{PACKAGE}/examples/exporter.yaml",
    ],
}


def main() -> None:
    """Stop at the first check that fails, with its output."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "workspace"
        shutil.copytree(ROOT, copy, symlinks=True, ignore=MADE)
        (copy / ".tools" / "bin").mkdir(parents=True)
        shutil.copy(ROOT / ".tools" / "bin" / "uv", copy / ".tools" / "bin" / "uv")
        for title, command in CHECKS.items():
            done = subprocess.run(command, cwd=copy, check=False, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"the template is not {title}:\n{done.stdout}{done.stderr}")
    print("the template is", ", ".join(CHECKS))


if __name__ == "__main__":
    main()
