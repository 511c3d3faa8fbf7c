"""Runs driver packages of release 0.9.0, as they were published, on this core.

Rule: such a package comes from the package index unchanged and without its dependencies. What it
needs of third parties is read from its own metadata; its siblings are the packages of this
checkout, installed in place, so that the tests in `interop/` meet the code as it is now. The
environment is kept, and made anew when a requirement of either side has changed.

To go on with one test: .peers/interop/bin/python -m pytest interop/shell_test.py
"""

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from peers import RELEASE, locked, peers_directory

ROOT = Path(__file__).resolve().parent.parent
UV = str(ROOT / ".tools" / "bin" / "uv")
TESTS = ROOT / "interop"

NAMES = (
    *("pyserial", "shell", "http", "snmp", "ssh", "uboot", "vnc", "can", "gpiod", "flashers"),
    *("qemu", "ridesx", "ustreamer", "probe-rs", "tasmota"),
)
OURS = (
    *("jumpstarter-protocol", "jumpstarter", "jumpstarter-cli", "jumpstarter-driver-composite"),
    *("jumpstarter-driver-network[all]", "jumpstarter-driver-opendal", "jumpstarter-driver-power"),
    *("jumpstarter-driver-tftp",),
)
"""With every extra: release 0.9.0 has no extras, so its packages count on those libraries."""

TEST_LIBRARIES = ("pytest>=9", "pytest-timeout>=2.3")
PROGRAMS = ("curl", "mosquitto", "qemu-img", "qemu-system-x86_64", "ssh", "sshd")

STEPS = {"imported": "test_import", "built": "test_build", "called": "test_call"}
"""Columns of the table, and how the names of their tests begin."""

THIRD_PARTIES = """
import re, sys
from importlib.metadata import distribution
for name in sys.argv[1:]:
    for requirement in distribution(name).requires or []:
        if not re.match("jumpstarter([^a-z]|$)", requirement):
            print(requirement)
"""

Outcomes = Mapping[tuple[str, str], list[bool]]
"""For a package and a column of the table, whether each test passed."""


def run(*command: str | Path) -> str:
    """Run a command and return what it printed.

    Raises:
        SystemExit: it failed; its output is shown.
    """
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def environment_key() -> str:
    """Return a digest of all that decides what is in the environment."""
    digest = hashlib.sha256(sys.version.encode())
    sources = [Path(__file__), ROOT / "VERSION", ROOT / "hatch_build.py"]
    for path in [*sources, *sorted((ROOT / "packages").glob("*/pyproject.toml"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def install(environment: Path, python: Path) -> None:
    """Make the environment, in place of an older one."""
    run(UV, "venv", "--quiet", "--clear", "--python", sys.executable, environment)
    pip = (UV, "pip", "install", "--quiet", "--python", python)
    theirs = [f"jumpstarter-driver-{name}" for name in NAMES]
    run(*pip, "--no-deps", *(f"{name}=={RELEASE}" for name in theirs))
    needed = run(python, "-c", THIRD_PARTIES, *theirs).splitlines()
    editable = [word for name in OURS for word in ("--editable", f"packages/{name}")]
    run(*pip, *editable, *TEST_LIBRARIES, *needed)


def prepared_interpreter() -> Path:
    """Return the interpreter of the environment, made ready when it is not."""
    environment = peers_directory().absolute() / "interop"
    python = environment / "bin" / "python"
    ready = environment / "ready"
    key = environment_key()
    with locked(environment.with_name(f"{environment.name}.lock")):
        if not ready.exists() or ready.read_text(encoding="utf-8") != key:
            install(environment, python)
            ready.write_text(key, encoding="utf-8")
    return python


def read_outcomes(report: Path) -> Outcomes:
    """Return what pytest wrote about each package: its tests are in a file of that name."""
    outcomes: dict[tuple[str, str], list[bool]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        package = case.get("classname", "").rpartition(".")[2].removesuffix("_test")
        name = case.get("name", "")
        passed = all(case.find(fault) is None for fault in ("failure", "error", "skipped"))
        for column, beginning in STEPS.items():
            if name.startswith(beginning):
                outcomes.setdefault((package.replace("_", "-"), column), []).append(passed)
    return outcomes


def cell(results: list[bool]) -> str:
    """Return what the table says of the tests of one package in one column."""
    if not results:
        return "no test"
    failed = results.count(False)
    return f"{failed} failed" if failed else f"{len(results)} ok"


def table(outcomes: Outcomes) -> str:
    """Return one line per package and one column per step."""
    rows = [["package", *STEPS]]
    rows += [[name, *(cell(outcomes.get((name, step), [])) for step in STEPS)] for name in NAMES]
    return "\n".join("".join(f"{word:12}" for word in row).rstrip() for row in rows)


def complete(outcomes: Outcomes) -> bool:
    """Return whether every package has passed at least one test of each step, and failed none."""
    return all(
        (results := outcomes.get((name, step))) and all(results) for name in NAMES for step in STEPS
    )


def main() -> None:
    """Prepare, test, and print the table."""
    run(sys.executable, ROOT / "tools" / "programs.py", *PROGRAMS)
    python = prepared_interpreter()
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.xml"
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS]
        done = subprocess.run([*command, f"--junitxml={report}"], cwd=ROOT, check=False)
        outcomes = read_outcomes(report) if report.exists() else {}
    print(table(outcomes))
    if done.returncode or not complete(outcomes):
        sys.exit("packages of release 0.9.0 do not all run on this core")
    print(f"all {len(NAMES)} packages of release {RELEASE} run on this core")


if __name__ == "__main__":
    main()
