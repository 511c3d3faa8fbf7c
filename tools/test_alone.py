"""Installs the wheel of each package by itself, in a new environment, and runs its tests there.

Rule: siblings come from the wheels built here and from nowhere else, and no test sees the checkout:
a package that uses what it does not declare fails.

Usage: python tools/test_alone.py [PACKAGE ...]
"""

import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.parser import HeaderParser
from functools import partial
from pathlib import Path

from running import ROOT, hear_signals, run_tests

UV = str(ROOT / ".tools" / "bin" / "uv")
VERSION = (ROOT / "VERSION").read_text(encoding="utf-8").strip()
PACKAGES = sorted(path.name for path in (ROOT / "packages").iterdir())
TIMEOUT = 600
"""Seconds for one command; the slowest suite takes a tenth of it."""


class FailedError(Exception):
    """A command failed; the text is the end of its output."""


@dataclass(frozen=True)
class Bench:
    """Where the work happens: the folder of built wheels, and a folder for environments."""

    wheels: Path
    scratch: Path

    @property
    def constraints(self) -> Path:
        """The file that ties each sibling to its wheel."""
        return self.scratch / "siblings.txt"

    def wheel(self, package: str) -> Path:
        """Return the wheel of `package`."""
        return self.wheels / f"{package.replace('-', '_')}-{VERSION}-py3-none-any.whl"


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command and return what it printed.

    Raises:
        FailedError: it returned another code than 0, or took too long.
    """
    code, said = run_tests(command, cwd=cwd, seconds=TIMEOUT)
    if code:
        raise FailedError("\n".join(said.splitlines()[-80:]))
    return said


def faults(names: list[str], metadata: str) -> Iterator[str]:
    """Yield what is wrong with a wheel that holds `names` and this METADATA."""
    yield from (f"has {name}" for name in names if name.endswith(("_test.py", "conftest.py")))
    for wanted in ("/py.typed", "/licenses/LICENSE"):
        if not any(name.endswith(wanted) for name in names):
            yield f"lacks {wanted[1:]}"
    headers = HeaderParser().parsestr(metadata)
    if headers["Version"] != VERSION:
        yield f"is version {headers['Version']}, not {VERSION}"
    for requirement in headers.get_all("Requires-Dist", []):
        # What stands behind a semicolon says for which extra it is.
        name, _, pin = requirement.partition(";")[0].strip().partition("==")
        if name.split("[")[0] in PACKAGES and pin != VERSION:
            yield f"requires {requirement}, not {name}=={VERSION}"


def check_wheel(path: Path) -> None:
    """Check what one wheel holds and says of itself.

    Raises:
        FailedError: something is wrong with it.
    """
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        found = list(faults(names, archive.read(metadata).decode()))
    if found:
        raise FailedError("\n".join(f"{path.name} {fault}" for fault in found))


def copy_tests(package: str, site: Path) -> Path:
    """Put the tests and examples of `package` where its installed code is, and the settings.

    Tests import what is under test relative to themselves, so they stand where they always stand.
    Returns the file with the settings.
    """
    source = ROOT / "packages" / package
    module = source / package.replace("-", "_")
    for test in [*module.rglob("*_test.py"), *module.rglob("conftest.py")]:
        target = site / test.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(test, target)
    if (source / "examples").exists():
        shutil.copytree(source / "examples", site / "examples")
    shutil.copy(ROOT / "conftest.py", site)
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = settings[settings.index("[tool.pytest.ini_options]") :].split("\n\n", 1)[0]
    (site / "pyproject.toml").write_text(f"{section}\n", encoding="utf-8")
    return site / "pyproject.toml"


def try_package(bench: Bench, package: str) -> str:
    """Install one wheel with its dependencies, run its tests, and return pytest's last line."""
    check_wheel(bench.wheel(package))
    home = bench.scratch / package
    python = home / "bin" / "python"
    run(UV, "venv", "--quiet", "--python", sys.executable, home)
    pyproject = ROOT / "packages" / package / "pyproject.toml"
    install = [UV, "pip", "install", "--quiet", "--no-sources", "--python", python]
    constraints = ["--constraint", bench.constraints]
    run(*install, *constraints, "--group", f"{pyproject}:test", bench.wheel(package))
    site = next(home.glob("lib/python*/site-packages"))
    settings = copy_tests(package, site)
    tests = site / package.replace("-", "_")
    return run(python, "-m", "pytest", "-q", "-c", settings, tests, cwd=home).splitlines()[-1]


def try_pip(bench: Bench, *packages: str) -> str:
    """Install `packages` as the README says, with pip, and list the drivers with `jmp`."""
    home = bench.scratch / "pip"
    python = home / "bin" / "python"
    run(UV, "venv", "--quiet", "--seed", "--python", sys.executable, home)
    run(python, "-m", "pip", "install", "--quiet", "--find-links", bench.wheels, *packages)
    drivers = run(home / "bin" / "jmp", "driver", "list", "--output", "name")
    if "Tftp" not in drivers.split():
        raise FailedError(f"jmp driver list does not name Tftp:\n{drivers}")
    return "jmp finds the drivers"


def attempt(bench: Bench, package: str) -> bool:
    """Do one job, print its line, and return whether it went well."""
    begin = time.monotonic()
    try:
        if package == "pip":
            line = try_pip(bench, "jumpstarter-cli", "jumpstarter-driver-tftp")
        else:
            line = try_package(bench, package)
    except FailedError as error:
        print(f"FAIL {package}\n{error}", flush=True)
        return False
    print(f"ok   {package:30} {time.monotonic() - begin:4.0f} s  {line}", flush=True)
    return True


def main() -> None:
    """Test the packages named, or all."""
    hear_signals()
    chosen = sys.argv[1:] or [*PACKAGES, "pip"]
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(wheels=Path(name) / "wheels", scratch=Path(name))
        build = [UV, "build", "--quiet", "--wheel", "--all-packages", "--out-dir", bench.wheels]
        run(*build)
        bench.constraints.write_text(
            "".join(f"{package} @ {bench.wheel(package).as_uri()}\n" for package in PACKAGES),
            encoding="utf-8",
        )
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(partial(attempt, bench), chosen))
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
