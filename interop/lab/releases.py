"""Where the programs of each release are, and how one of them is run as its users do.

Rule: a program runs in a process of its own, with a home of its own, and ends with the `with` that
started it.
"""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import Process

ROOT: Final = Path(__file__).resolve().parents[2]
DEVICES: Final = Path(__file__).resolve().parent / "devices"
USE: Final = DEVICES / "use.py"

PATIENCE: Final = 90.0
"""Seconds after which a program that should have ended has failed its test."""

GRACE: Final = 10.0
"""Seconds that a program has after SIGTERM."""


@dataclass(frozen=True)
class Release:
    """The programs of one release."""

    name: str
    python: Path

    @property
    def jmp(self) -> str:
        """The program `jmp`."""
        return str(self.python.with_name("jmp"))

    @property
    def j(self) -> str:
        """The program `j`."""
        return str(self.python.with_name("j"))

    def use(self, what: str, *arguments: str) -> list[str]:
        """Return the command that uses the devices of a shell, as a script of this release."""
        return [str(self.python), str(USE), what, *arguments]


OURS: Final = Release("ours", Path(sys.executable))


def peer(name: str, set_name: str) -> Release:
    """Return a published release, installed where it is not yet."""
    words = [sys.executable, str(ROOT / "tools" / "peers.py"), set_name]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return Release(name, Path(done.stdout.strip()))


@dataclass(frozen=True)
class Home:
    """A home directory, with the files of clients in it; every program is run in one."""

    folder: Path

    @property
    def clients(self) -> Path:
        """Where the files of clients are."""
        return self.folder / "config" / "jumpstarter" / "clients"

    def environment(self, release: Release, **more: str) -> dict[str, str]:
        """Return the environment of a program of `release`."""
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("JMP_", "JUMPSTARTER_", "PYTEST_", "XDG_", "VIRTUAL_ENV"))
        }
        path = f"{release.python.parent}:{kept['PATH']}"
        own = {"HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder / "config")}
        quiet = {"TERM": "dumb", "NONINTERACTIVE": "1", "SHELL": "/bin/bash"}
        return kept | own | quiet | {"PATH": path, "PYTHONPATH": str(DEVICES)} | more


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Return whether something comes to hold in time, of which nobody tells when it does."""
    with anyio.move_on_after(seconds):
        while not await holds():  # noqa: ASYNC110 - it is in a file, or in another process
            await anyio.sleep(0.05)
        return True
    return False


def family(pid: int) -> list[int]:
    """Return a process and all below it, also those in sessions of their own (proc(5))."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            after_name = path.read_text(errors="replace").rpartition(")")[2]
            parents[int(path.parent.name)] = int(after_name.split()[1])
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


@dataclass
class Program:
    """A program that runs, and what it has said so far."""

    process: Process
    log: Path

    @property
    def said(self) -> str:
        """All of its output, errors included."""
        return self.log.read_text(errors="replace")

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.returncode is None

    async def says(self, words: str, seconds: float = PATIENCE) -> None:
        """Wait until it has said these words."""

        async def has_said() -> bool:
            ended = not self.runs
            if words in self.said:
                return True
            if ended:
                raise AssertionError(f"ended before it said {words!r}:\n{self.said}")
            return False

        if not await eventually(has_said, seconds):
            raise AssertionError(f"did not say {words!r} within {seconds:g} s:\n{self.said}")

    async def ends(self, seconds: float = PATIENCE) -> int:
        """Wait for its end; return the exit code."""
        with anyio.move_on_after(seconds):
            return await self.process.wait()
        raise AssertionError(f"has not ended within {seconds:g} s:\n{self.said}")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal and wait for its end; kill it and all that it started if it does not."""
        if self.runs:
            self.process.send_signal(number)
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(GRACE):
                await self.process.wait()
            self.kill()
            await self.process.wait()

    def kill(self) -> None:
        """Kill it, and all that it started, at once; exporters of releases before ours fork."""
        for member in family(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


@asynccontextmanager
async def running(
    command: list[str], environment: dict[str, str], log: Path
) -> AsyncGenerator[Program]:
    """Run a program inside the context."""
    with log.open("wb") as output:
        process = await anyio.open_process(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=log.parent,
            start_new_session=True,
        )
    program = Program(process, log)
    try:
        yield program
    finally:
        await program.stop()
        await process.aclose()
