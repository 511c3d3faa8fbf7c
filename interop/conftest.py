"""What the tests of others' packages share: a driver built from YAML, and served.

Rule: a package of release 0.9.0 is used as its users do, through the client that `serve` gives and
the commands that this client offers. A test is named after its step: `test_import…`, `test_build…`
or `test_call…`; `tools/interop.py` makes a table of them.
"""

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from jumpstarter.common.importlib import import_class
from jumpstarter.common.utils import serve
from jumpstarter.config.exporter import ExporterConfigV1Alpha1DriverInstance
from jumpstarter.driver import Driver

from .serial_device import Answer, serial_device

Client = Any
"""Their client classes: the type checker has none of these packages in its environment."""

Offers = Callable[[str], set[str]]
Clients = Callable[[str], dict[str, str]]
Served = Callable[[str | Driver], Client]
Program = Callable[[str], str]
FreePort = Callable[[], int]
Device = Callable[[Answer], str]


@pytest.fixture(autouse=True)
def plain_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty home, a terminal without colours, and programs that only root has on its path."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("PATH", "/usr/sbin", prepend=":")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def offers() -> Offers:
    """Imports every driver that a package offers, and its client; gives the short names."""

    def load(package: str) -> set[str]:
        points = distribution(package).entry_points.select(group="jumpstarter.drivers")
        for point in points:
            import_class(point.load().client(), ["jumpstarter_driver_*"], unsafe=False)
        return {point.name for point in points}

    return load


def instantiate(entry: str) -> Driver:
    """Build the driver that a YAML entry describes."""
    return ExporterConfigV1Alpha1DriverInstance.from_str(entry).instantiate()


@pytest.fixture
def clients() -> Clients:
    """Builds the drivers that a YAML entry describes; gives the client class of each, by path."""

    def build(entry: str) -> dict[str, str]:
        driver = instantiate(entry)
        try:
            return dict(client_paths("", driver, driver))
        finally:
            driver.close()

    return build


def client_paths(path: str, root: Driver, driver: Driver) -> Iterator[tuple[str, str]]:
    """Yield the path and the client class of `driver` and of those below it."""
    for _, parent, name, found in driver.enumerate(root=root):
        if found is driver:
            yield path, found.client()
        elif parent is driver:
            yield from client_paths(f"{path}.{name}".lstrip("."), root, found)


@pytest.fixture
def served() -> Iterator[Served]:
    """Serves a driver, or what a YAML entry describes, until the test ends; gives its client."""
    with ExitStack() as stack:

        def start(driver: str | Driver) -> Client:
            root = instantiate(driver) if isinstance(driver, str) else driver
            return stack.enter_context(serve(root))

        yield start


@pytest.fixture
def program() -> Program:
    """Finds a program; `make interop` installs those that are missing."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.fail(f"{name} is missing: `make interop` installs it")
        return path

    return find


@pytest.fixture
def free_port() -> FreePort:
    """Finds a port of loopback that nobody uses, for programs that cannot choose one."""

    def find() -> int:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return listener.getsockname()[1]

    return find


@pytest.fixture
def device() -> Iterator[Device]:
    """Makes a serial device with this behaviour behind it; gives its path."""
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(serial_device(answer))
