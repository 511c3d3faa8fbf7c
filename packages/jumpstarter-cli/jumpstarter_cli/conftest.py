"""What the tests of this package share: a desk at which commands are typed, in processes."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jumpstarter_cli.lab_desk_test import LAMPS as LAMPS
from jumpstarter_cli.lab_desk_test import Done as Done
from jumpstarter_cli.lab_desk_test import LabDesk, open_lab_desk

HEAD = "metadata: {namespace: null, name: desk}\n"
LAMP = f"{HEAD}export:\n  lamp: {{type: {LAMPS}.Lamp}}\n"
LISTEN = ("--tls-grpc-listener", "0", "--tls-grpc-insecure")

JMP = (sys.executable, "-m", "jumpstarter_cli")
J = (sys.executable, "-m", "jumpstarter_cli.j")


@dataclass
class Desk:
    """A user of its own: a home, a place for packages, and commands in processes."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        programs = Path(sys.executable).parent
        self.environ = {
            "HOME": str(self.folder),
            "JMP_CLIENT_CONFIG_HOME": str(self.folder / "config"),
            "LANG": "C.UTF-8",
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.site),
            "TERM": "dumb",
            "XDG_RUNTIME_DIR": str(self.sockets),
        }
        self.site.mkdir()
        self.sockets.mkdir()

    @property
    def site(self) -> Path:
        """Where packages of the test are installed."""
        return self.folder / "site"

    @property
    def sockets(self) -> Path:
        """Where sessions make their sockets; empty when all have ended."""
        return self.folder / "s"

    def file(self, text: str, name: str = "exporter.yaml") -> str:
        """Write a file and return its path."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def alias(self, name: str, text: str) -> Path:
        """Write the exporter file of an alias and return its path."""
        path = self.folder / "config" / "exporters" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def install(self, distribution: str, entry_points: str) -> None:
        """Install a distribution that has only entry points."""
        info = self.site / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")

    def run(
        self, *argv: str, env: Mapping[str, str] | None = None, given: str | None = None
    ) -> Done:
        """Run a program to its end."""
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env={**self.environ, **(env or {})},
            input=given or "",
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def jmp(
        self, *args: str, env: Mapping[str, str] | None = None, given: str | None = None
    ) -> Done:
        """Run `jmp`."""
        return self.run(*JMP, *args, env=env, given=given)

    def j(self, *args: str, env: Mapping[str, str] | None = None) -> Done:
        """Run `j`."""
        return self.run(*J, *args, env=env)

    @contextmanager
    def start(
        self, *argv: str, env: Mapping[str, str] | None = None
    ) -> Generator[subprocess.Popen[str]]:
        """Start a program, and kill it at the end of the context when it still runs."""
        with subprocess.Popen(
            argv,
            cwd=self.folder,
            env={**self.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture
def desk() -> Generator[Desk]:
    # The path of a socket may have 107 characters, and pytest's own folders are long.
    with tempfile.TemporaryDirectory(prefix="jmp-") as folder:
        yield Desk(Path(folder))


@contextmanager
def listening(desk: Desk, text: str = LAMP) -> Generator[dict[str, str]]:
    """Run an exporter that listens, and yield the variables by which `j` finds it."""
    argv = (*JMP, "run", "--exporter-config", desk.file(text), *LISTEN)
    with desk.start(*argv) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            host = process.stdout.readline().split()[2]
            yield {
                "JUMPSTARTER_HOST": host,
                "JMP_GRPC_INSECURE": "1",
                "JMP_DRIVERS_ALLOW": f"{LAMPS}.*",
            }
        finally:
            process.terminate()
            process.communicate(timeout=20)


def variables(text: str) -> dict[str, str]:
    """Return what the program `env` printed."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, _, value in pairs}


def program(name: str) -> str:
    """Return the path of a program, which is installed when it is missing and that is possible."""
    if shutil.which(name) is None and shutil.which("apt-get") and os.geteuid() == 0:
        apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=60"]
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "--yes", "--no-install-recommends", name]):
            subprocess.run([*apt, *words], env=environ, check=False, capture_output=True)
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def lab_desk(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Generator[LabDesk]:
    with open_lab_desk(tmp_path, capfd, monkeypatch) as desk:
        yield desk
