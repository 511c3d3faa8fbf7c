"""Runs one of the TFTP servers that are compared, and says what its processes use.

Each serves a directory on an address of its own machine, with its default settings, in a session of
its own. A server counts as ready when it answers a request.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent / "tools"
PATIENCE = 20.0
"""Seconds until a server that has not answered is given up."""

_TICKS = os.sysconf("SC_CLK_TCK")
_SESSION, _TIMES = 3, slice(11, 15)
"""Where /proc/PID/stat has them, counted from behind the name; see proc(5)."""


class ServerError(Exception):
    """A server cannot run here, or not do what is asked; the text is the reason."""


@dataclass(frozen=True)
class Address:
    """Where a server listens, as `sendto` takes it."""

    host: str
    port: int

    @property
    def pair(self) -> tuple[str, int]:
        """The address for a socket."""
        return self.host, self.port


class Server:
    """A server that runs.

    Attributes:
        address: where it listens.
        process: the process that was started; it may have children.
        forgets_children: whether what children computed is lost when they end.
    """

    def __init__(self, process: subprocess.Popen[bytes], address: Address, log: Path) -> None:
        """Watch a process that has just been started."""
        self.process = process
        self.forgets_children = False
        self.address = address
        self._log = log

    def pids(self) -> list[int]:
        """Return its processes: those of its session."""
        return [pid for pid, fields in _processes() if int(fields[_SESSION]) == self.process.pid]

    def pin(self, processors: Collection[int]) -> None:
        """Let all its threads run on these processors only."""
        for pid in self.pids():
            with suppress(OSError):  # it has ended
                for task in os.listdir(f"/proc/{pid}/task"):
                    os.sched_setaffinity(int(task), processors)

    def cpu_seconds(self) -> float:
        """Return what its processes have computed, with the children that they waited for."""
        ticks = sum(
            sum(map(int, fields[_TIMES]))
            for _, fields in _processes()
            if int(fields[_SESSION]) == self.process.pid
        )
        return ticks / _TICKS

    def open_files(self) -> int:
        """Return how many files and sockets its processes hold."""
        count = 0
        for pid in self.pids():
            with suppress(OSError):
                count += len(os.listdir(f"/proc/{pid}/fd"))
        return count

    def wait_ready(self) -> None:
        """Wait until it answers.

        Raises:
            ServerError: it ended, or answers nothing.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.1)
            for _ in range(int(PATIENCE / 0.1)):
                if self.process.poll() is not None:
                    said = self._log.read_text(encoding="utf-8", errors="replace").strip()
                    raise ServerError(f"ended with code {self.process.returncode}: {said[-300:]}")
                sock.sendto(b"\0\1not-there\0octet\0", self.address.pair)
                with suppress(TimeoutError, ConnectionError):
                    sock.recv(512)
                    return
        raise ServerError(f"answers nothing within {PATIENCE:.0f} s")

    def stop(self) -> None:
        """End it, with its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _ours(root: Path, address: Address) -> list[str]:
    script = str(HERE / "tftp_ours.py")
    return [sys.executable, script, str(root), address.host, str(address.port)]


def _tftpd_hpa(root: Path, address: Address) -> list[str]:
    where = f"{address.host}:{address.port}"
    return [_tool("daemons.py", "in.tftpd"), "-L", "-a", where, "-s", str(root)]


def _atftpd(root: Path, address: Address) -> list[str]:
    argv = [_tool("daemons.py", "atftpd"), "--daemon", "--no-fork"]
    where = ["--port", str(address.port), "--bind-address", address.host]
    user = ["--user", "root.root"] if os.geteuid() == 0 else []
    return [*argv, *where, *user, str(root)]


def _dnsmasq(root: Path, address: Address) -> list[str]:
    _tool("programs.py", "dnsmasq")
    return [
        *("/usr/sbin/dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file="),
        *("--port=0", "--bind-interfaces", f"--listen-address={address.host}"),
        *("--user=root", "--group=root", "--enable-tftp", f"--tftp-root={root}"),
    ]


def _py3tftp(_: Path, address: Address) -> list[str]:
    python = _tool("peers.py", "py3tftp")
    return [python, "-m", "py3tftp", "--host", address.host, "-p", str(address.port)]


COMMANDS: dict[str, Callable[[Path, Address], list[str]]] = {
    "ours": _ours,
    "tftpd-hpa": _tftpd_hpa,
    "atftpd": _atftpd,
    "dnsmasq": _dnsmasq,
    "py3tftp": _py3tftp,
}
NEED_ROOT = ("tftpd-hpa", "dnsmasq")
"""The one changes its root directory, the other knows no port but 69."""

FORGET_CHILDREN = ("tftpd-hpa",)
"""It has a process per file, and ignores SIGCHLD."""


@contextmanager
def serving(name: str, root: Path, log: Path, address: Address | None = None) -> Generator[Server]:
    """Run a server of `COMMANDS` that serves `root`; gives it when it is ready.

    Without an address it listens on a free one.

    Raises:
        ServerError: it cannot run here.
    """
    if name in NEED_ROOT and os.geteuid() != 0:
        raise ServerError("needs root")
    if address is None:
        address = Address("127.0.0.69", 69) if name == "dnsmasq" else _free_address()
    argv = COMMANDS[name](root, address)
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=root,
            start_new_session=True,
        )  # fmt: skip
    server = Server(process, address, log)
    server.forgets_children = name in FORGET_CHILDREN
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


def _processes() -> Generator[tuple[int, list[str]]]:
    """Yield the id of every process, with the fields of its /proc/PID/stat behind the name."""
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):  # it has ended
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            yield int(pid), stat.rpartition(")")[2].split()


def _free_address() -> Address:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return Address(*sock.getsockname())


def _tool(script: str, argument: str) -> str:
    """Run one of tools/, which provides a program and may print where it is."""
    argv = [sys.executable, str(TOOLS / script), argument]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerError(done.stderr.strip())
    return done.stdout.strip()
