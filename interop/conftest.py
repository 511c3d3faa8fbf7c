"""What the tests of others' packages share: a driver built from YAML, and served.

Rule: a package of release 0.9.0 is used as its users do, through the client that `serve` gives and
the command line that this client offers. Nothing here knows what is inside such a package.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from jumpstarter.common.utils import serve
from jumpstarter.config.exporter import ExporterConfigV1Alpha1DriverInstance
from jumpstarter.driver import Driver

# Their classes are unknown to the type checker, whose environment has none of these packages.
Client = Any

Build = Callable[[str], Driver]
Served = Callable[[str], Client]


@pytest.fixture(autouse=True)
def plain_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty home, and a terminal that knows no colours."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TERM", "dumb")
    for name in ("XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def build() -> Build:
    """Builds the driver that a YAML entry describes."""
    return lambda entry: ExporterConfigV1Alpha1DriverInstance.from_str(entry).instantiate()


@pytest.fixture
def served(build: Build) -> Iterator[Served]:
    """Builds a driver from a YAML entry, serves it until the test ends, and gives its client."""
    with ExitStack() as stack:
        yield lambda entry: stack.enter_context(serve(build(entry)))


@pytest.fixture
def program() -> Callable[[str], str]:
    """Finds a program that `make interop` installs."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.fail(f"{name} is missing: run `make interop`, which installs it")
        return path

    return find
