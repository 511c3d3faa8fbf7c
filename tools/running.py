"""Running the programs that run tests: what they say is kept, and what they are told is heard."""

import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run_tests(
    command: Sequence[str | Path], *, cwd: Path = ROOT, seconds: float | None = None
) -> tuple[int, str]:
    """Run a command, for `seconds` at most, and return its exit code and what it printed.

    It prints to a file: a pipe would be waited for as long as any process that it left holds it.
    """
    words = [str(word) for word in command]
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        with subprocess.Popen(
            words, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ) as process:
            try:
                code, end = process.wait(seconds), ""
            except subprocess.TimeoutExpired:
                process.kill()
                code, end = 1, f"\nnot done after {seconds} seconds: {' '.join(words)}"
        output.seek(0)
        return code, output.read() + end


def hear_signals() -> None:
    """Let programs that are started from here hear the signals that `nohup` and `&` keep away."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
