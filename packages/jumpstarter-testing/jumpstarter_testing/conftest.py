"""What the tests of this package share: a real exporter, and pytest as a program."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jumpstarter.common import ExporterStatus
from jumpstarter.driver import Driver, export
from jumpstarter.exporter import Session

RunPytest = Callable[..., "subprocess.CompletedProcess[str]"]


class Counter(Driver):
    """A device that counts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.count = 0

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def next(self) -> int:
        self.count += 1
        return self.count


@pytest.fixture
def host() -> Iterator[str]:
    """An exporter's socket, as JUMPSTARTER_HOST names it."""
    with Session(root_device=Counter()) as session:
        session.update_status(ExporterStatus.LEASE_READY)
        with session.serve_unix() as path:
            yield str(path)


@pytest.fixture
def run_pytest(tmp_path: Path) -> RunPytest:
    """Run pytest on a file with the given content, with some variables set."""

    def run(content: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        file = tmp_path / "device_test.py"
        file.write_text(content)
        environ = {key: value for key, value in os.environ.items() if key != "JUMPSTARTER_HOST"}
        environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        command = [sys.executable, "-m", "pytest", "-v", "-W", "error", "-p", "no:cacheprovider"]
        return subprocess.run(
            [*command, f"--rootdir={tmp_path}", str(file)],
            env={**environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    return run
