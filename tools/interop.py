"""Runs driver packages of release 0.9.0, as they were published, on this core.

Rule: such a package comes from the package index unchanged and without its dependencies. What it
needs of third parties is read from its own metadata; its siblings are the packages of this
checkout, installed in place, so that the tests meet the code as it is now. The environment is kept,
and made anew when a requirement of either side has changed.

Two suites run: ours in `interop/`, and the tests that came with the packages themselves. Beside
them run the tests in `interop/lab/`, where programs of release 0.9.0 meet ours in a lab; these are
at home in the checkout's own environment, and wait more than they work.

To go on with one test: .peers/interop/bin/python -m pytest -W default interop/shell_test.py
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from peers import RELEASE, locked, peers_directory
from running import ROOT, hear_signals, run_tests

UV = str(ROOT / ".tools" / "bin" / "uv")
LAB = ROOT / "interop" / "lab"
LONG = ("long_test.py", "hooks_test.py", "matrix_test.py")
"""The tests of the lab that take longest, which therefore begin first."""

NAMES = (
    *("pyserial", "shell", "http", "snmp", "ssh", "uboot", "vnc", "can", "gpiod", "flashers"),
    *("qemu", "ridesx", "ustreamer", "probe-rs", "tasmota"),
)
PACKAGES = tuple(f"jumpstarter-driver-{name}" for name in NAMES)

OURS = (
    *("jumpstarter-protocol", "jumpstarter", "jumpstarter-cli", "jumpstarter-driver-composite"),
    *("jumpstarter-driver-network[all]", "jumpstarter-driver-opendal", "jumpstarter-driver-power"),
    "jumpstarter-driver-tftp",
)
"""With every extra: release 0.9.0 has no extras, so its packages count on those libraries."""

TEST_LIBRARIES = ("pytest>=9", "pytest-timeout>=2.3", "pytest-asyncio", "pytest-mock")
PROGRAMS = ("curl", "mosquitto", "openssl", "qemu-img", "qemu-system-x86_64", "ssh", "sshd")

STEPS = {"test_import": "imported", "test_build": "built", "test_call": "called"}
"""How the names of our tests begin, and the column of the table that they fill."""

PUBLISHED = "its own tests"
"""The column of the tests that came with a package."""

PASSED, FAILED, NONE_FOUND = 0, 1, 5
"""Exit codes of pytest; the last when all tests of a package are left out."""

LEFT_OUT = {
    "can/client_test.py::test_client_isotp_socket": "needs a CAN interface in the kernel",
    "flashers/driver_test.py": "fetches images from a registry",
    "qemu/driver_test.py::test_driver_qemu": "fetches firmware and an image from the internet",
    "ssh/driver_test.py::test_ssh_identity_temp_file_creation_error": (
        "wants the error of the body of an adapter's `with` wrapped in a group; here it is itself"
    ),
    "tasmota/driver_test.py": "needs Docker",
    "uboot/driver_test.py": "fetches firmware from the internet",
    "ustreamer/driver_test.py": "needs a camera",
}
"""Tests of the packages that cannot run here, and why."""

THIRD_PARTIES = """
import re, sys
from importlib.metadata import distribution
for name in sys.argv[1:]:
    for requirement in distribution(name).requires or []:
        if not re.match("jumpstarter([^a-z]|$)", requirement):
            print(requirement)
"""


@dataclass(frozen=True)
class Case:
    """One test that ran: of which package, for which column of the table, with which outcome."""

    package: str
    column: str
    passed: bool


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
    run(*pip, "--no-deps", *(f"{package}=={RELEASE}" for package in PACKAGES))
    needed = run(python, "-c", THIRD_PARTIES, *PACKAGES).splitlines()
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


def pytest_cases(python: Path, *arguments: str | Path) -> Iterator[tuple[str, str, bool]]:
    """Run pytest, and yield module, name and outcome of each test; show its output if one fails."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        command.append(f"--junitxml={report}")
        code, said = run_tests(command)
        if code not in {PASSED, NONE_FOUND}:
            print(said)
        if code not in {PASSED, FAILED, NONE_FOUND}:
            sys.exit("pytest has ended early")
        for case in ElementTree.parse(report).iter("testcase"):
            passed = all(case.find(fault) is None for fault in ("failure", "error", "skipped"))
            yield case.get("classname", ""), case.get("name", ""), passed


def our_cases(python: Path) -> Iterator[Case]:
    """Run the tests in `interop/`: one module per package."""
    # Some of the packages, and libraries below them, leave sockets to the garbage collector.
    options = ("-W", "default", f"--ignore={ROOT / 'interop' / 'lab'}")
    for module, name, passed in pytest_cases(python, *options, ROOT / "interop"):
        package = module.rpartition(".")[2].removesuffix("_test").replace("_", "-")
        for beginning, column in STEPS.items():
            if name.startswith(beginning):
                yield Case(package, column, passed)


def published_cases(python: Path) -> Iterator[Case]:
    """Run the tests that came with each package, by themselves, as their authors do."""
    [site] = python.parents[1].glob("lib/python*/site-packages")
    options = ["-c", os.devnull, f"--rootdir={site}", "--import-mode=importlib", "-W", "ignore"]
    options += ["-o", "python_files=*_test.py", "-o", "anyio_mode=auto", "--timeout=60"]
    for test in LEFT_OUT:
        module = f"jumpstarter_driver_{test}"
        options.append(f"--deselect={module}" if "::" in test else f"--ignore={site / module}")
    for name, package in zip(NAMES, PACKAGES, strict=True):
        for _, _, passed in pytest_cases(python, *options, site / package.replace("-", "_")):
            yield Case(name, PUBLISHED, passed)


def cell(results: list[bool]) -> str:
    """Return what the table says of the tests of one package in one column."""
    failed = results.count(False)
    return f"{failed} of {len(results)} failed" if failed else f"{len(results) or '-'}"


def table(cells: Mapping[tuple[str, str], list[bool]]) -> str:
    """Return one line per package, with the number of tests passed in each column."""
    columns = [*STEPS.values(), PUBLISHED]
    rows = [["package", *columns]]
    rows += [[name, *(cell(cells.get((name, each), [])) for each in columns)] for name in NAMES]
    return "\n".join("".join(f"{word:15}" for word in row).rstrip() for row in rows)


def missing(cells: Mapping[tuple[str, str], list[bool]]) -> list[str]:
    """Return the steps that no test has tried."""
    return [
        f"{name} is not {column}"
        for name in NAMES
        for column in STEPS.values()
        if not cells.get((name, column))
    ]


@contextmanager
def lab_tests() -> Generator[None]:
    """Run the tests of the lab beside the body, then print what they said; exit where they fail."""
    found = sorted(LAB.glob("*_test.py"), key=lambda path: (path.name not in LONG, path.name))
    names = [str(path.relative_to(ROOT)) for path in found]
    command = [sys.executable, "tools/tests.py", "--jobs", "3", *names]
    with tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT) as process:
            try:
                yield
            finally:
                process.wait()
                said.seek(0)
                print(said.read(), end="", flush=True)
        if process.returncode:
            sys.exit("the programs of some release fail in our lab")


def main() -> None:
    """Run everything."""
    hear_signals()
    with lab_tests():
        packages()


def packages() -> None:
    """Prepare the packages, test them, and print the table."""
    run(sys.executable, ROOT / "tools" / "programs.py", *PROGRAMS)
    python = prepared_interpreter()
    cells: defaultdict[tuple[str, str], list[bool]] = defaultdict(list)
    cases = [*our_cases(python), *published_cases(python)]
    for case in cases:
        cells[case.package, case.column].append(case.passed)
    print(table(cells))
    print(
        "left out of its own tests:",
        *(f"{test}: {why}" for test, why in LEFT_OUT.items()),
        sep="\n  ",
    )
    if lacking := missing(cells):
        sys.exit(f"no test: {', '.join(lacking)}")
    if failed := sum(not case.passed for case in cases):
        sys.exit(f"{failed} tests of packages of release {RELEASE} fail on this core")
    print(f"all {len(NAMES)} packages of release {RELEASE} run on this core: {len(cases)} tests")


if __name__ == "__main__":
    main()
