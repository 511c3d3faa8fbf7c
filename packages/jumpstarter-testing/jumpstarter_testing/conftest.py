"""What the tests of this package share: drivers, an exporter, a lab, and pytest as a program."""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import ObjectStream
from anyio.streams.stapled import StapledObjectStream
from jumpstarter.common import ExporterStatus
from jumpstarter.config.client import ClientConfigV1Alpha1, UserConfigV1Alpha1
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.exporter import Session

from jumpstarter_testing.lab import Board, ServedLab, serve_lab

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
        self.logger.info("counted to %d", self.count)
        return self.count


class Console(Driver):
    """A console that says what it is told."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[ObjectStream[bytes]]:
        send, receive = anyio.create_memory_object_stream[bytes](16)
        async with StapledObjectStream(send, receive) as stream:
            yield stream


class Desk(Counter):
    """A device with a console."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.children = {"console": Console(), "other": Console()}


@pytest.fixture(scope="module")
def desk_lab() -> Iterator[ServedLab]:
    """A lab with one device."""
    with serve_lab({"desk": Board(Desk, {"kind": "desk"})}) as lab:
        yield lab


@pytest.fixture
def no_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has no client's file, outside any shell."""
    for name in ("JUMPSTARTER_HOST", "JMP_LEASE", "JMP_NAME", "JMP_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ClientConfigV1Alpha1, "CLIENT_CONFIGS_PATH", tmp_path / "clients")
    monkeypatch.setattr(UserConfigV1Alpha1, "USER_CONFIG_PATH", tmp_path / "config.yaml")


@pytest.fixture
def host() -> Iterator[str]:
    """An exporter's socket, as JUMPSTARTER_HOST names it."""
    with Session(root_device=Counter()) as session:
        session.update_status(ExporterStatus.LEASE_READY)
        with session.serve_unix() as path:
            yield str(path)


@pytest.fixture
def run_pytest(tmp_path: Path) -> RunPytest:
    """Run pytest, in a process of its own, on a file with the given content."""

    def run(content: str, *options: str) -> "subprocess.CompletedProcess[str]":
        file = tmp_path / "device_test.py"
        file.write_text(content)
        environ = {key: value for key, value in os.environ.items() if key != "JUMPSTARTER_HOST"}
        environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        environ["JMP_CLIENT_CONFIG_HOME"] = str(tmp_path)
        command = [sys.executable, "-m", "pytest", "-v", "-W", "error", "-p", "no:cacheprovider"]
        return subprocess.run(
            [*command, f"--rootdir={tmp_path}", *options, str(file)],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
