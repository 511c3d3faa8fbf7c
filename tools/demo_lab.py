"""The second half of the demo: a lab, and its device leased and used through the router.

Rule: every step is a command that a user types, in a home of its own. Programs are waited for by
the line that says that they are ready; what else they say is only shown when something fails.
"""

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
REMOTE = Path(__file__).resolve().parent.parent / "examples" / "desk" / "remote.py"
SELECTOR = "kind=desk"
READY_SECONDS = 60
HANGUP = 129
"""The exit code of a command that got a hangup."""


class FailedError(Exception):
    """A command failed; the text is what it said."""


@dataclass(frozen=True)
class Desk:
    """A home directory, and the commands that are run in it."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables of this process, without those that name another lab or home."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JMP_", "JUMPSTARTER_", "XDG_"))
        }
        path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
        return {**kept, "HOME": str(self.home), "PATH": path}

    def run(self, *command: str | Path, code: int = 0) -> str:
        """Run a command and return what it printed.

        Raises:
            FailedError: its exit code is another one.
        """
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != code:
            typed = " ".join(str(word) for word in command)
            raise FailedError(f"$ {typed}\n{done.stdout}exit code {done.returncode}, not {code}")
        return done.stdout

    @contextmanager
    def running(self, ready: str, *command: str | Path) -> Generator[str]:
        """Keep a command running inside the context; yield the line that begins with `ready`.

        Raises:
            FailedError: it ended before it was ready.
        """
        log = self.home / f"{ready.split()[0]}.log"
        with (
            log.open("w", encoding="utf-8") as output,
            subprocess.Popen(
                command,
                cwd=self.home,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                yield _awaited(process, log, ready)
            finally:
                process.terminate()


def _awaited(process: "subprocess.Popen[bytes]", log: Path, ready: str) -> str:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        ended = process.poll() is not None
        text = log.read_text(encoding="utf-8")
        for line in text.splitlines():
            if line.startswith(ready):
                return line
        if ended:
            break
        # A file cannot tell that it has grown.
        time.sleep(0.02)  # noqa: TID251 - see above
    raise FailedError(f"{log.name}: no line begins with '{ready}':\n{log.read_text('utf-8')}")


@contextmanager
def _step(name: str) -> Generator[list[str]]:
    """Measure what happens inside, and print the line, whose words it fills in."""
    words: list[str] = []
    begin = time.perf_counter()
    yield words
    seconds = time.perf_counter() - begin
    print(f"{name:<10} {' '.join(words):<62} {seconds:6.2f} s", flush=True)


def lab_tour(home: Path, exporter: Path, file: Path) -> None:
    """Start a lab in `home`, lease the device that `exporter` describes, and use it.

    Raises:
        FailedError: a step did not do what it should.
    """
    desk = Desk(home)
    with ExitStack() as stack:
        with _step("lab") as words:
            up = ("jmp", "lab", "up", "--data", home / "lab")
            addresses = ("--grpc", "127.0.0.1:0", "--router", "127.0.0.1:0")
            line = stack.enter_context(desk.running("Lab ready: ", *_found(*up, *addresses)))
            words.append(line.removeprefix("Lab ready: "))
        with _step("exporter") as words:
            desk.run(*_found("jmp", "lab", "add-exporter", exporter, "--label", SELECTOR))
            run = ("jmp", "run", "--exporter-config", exporter)
            line = stack.enter_context(desk.running("Registered ", *_found(*run)))
            words.append(line[0].lower() + line[1:])
        with _step("client") as words:
            desk.run(*_found("jmp", "lab", "add-client", "me", "--unsafe"))
            words.append("me, who may lease; its file has a token of its own")
        _leased(desk, file)


def _leased(desk: Desk, file: Path) -> None:
    shell = _found("jmp", "shell", "--selector", SELECTOR)
    with _step("lease") as words:
        desk.run(*shell, "--", "j", "power", "on")
        words.append("leased, `j power on` through the router, released")
    print(desk.run(*shell, "--", sys.executable, REMOTE, file), end="", flush=True)
    with _step("lease") as words:
        desk.run(*shell, "--duration", "1s", "--", "sleep", "60", code=HANGUP)
        words.append("for 1 s: its end hung up on `sleep 60`")
    with _step("lease") as words:
        left = desk.run(*_found("jmp", "get", "leases")).strip()
        if left != "No resources found.":
            raise FailedError(f"a lease was left:\n{left}")
        words.append("none is left; the device is free again")


def _found(program: str, *arguments: str | Path) -> tuple[str | Path, ...]:
    return (BIN / program, *arguments)
