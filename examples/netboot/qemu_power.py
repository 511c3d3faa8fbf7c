"""A power switch whose board is a virtual machine: on starts QEMU, off kills it.

The serial console is a Unix socket that is there from the start, also while the power is off, so
that whoever opens it first and then switches on misses no character. It ends when the power goes.
"""

import shlex
import socket
import tempfile
import threading
from collections.abc import Generator
from pathlib import Path
from subprocess import DEVNULL, Popen

from jumpstarter.driver import Driver, export
from jumpstarter_driver_power.driver import PowerInterface, PowerReading
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass


@dataclass(kw_only=True, config=ConfigDict(arbitrary_types_allowed=True, extra="forbid"))
class QemuPower(PowerInterface, Driver):
    """Starts and kills a virtual machine."""

    command: str
    """The QEMU command; the switch adds what joins the machine to its console."""

    console: str
    """Path of the Unix socket that is the machine's first serial port."""

    def __post_init__(self) -> None:
        """Open the console. Raises OSError when its path cannot be had."""
        super().__post_init__()
        self._machine: Popen[bytes] | None = None
        self._switching = threading.Lock()
        Path(self.console).unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.console)
        self._listener.listen()

    @export
    def on(self) -> None:
        """Start the machine; returns when it runs.

        Raises RuntimeError with what QEMU says when it does not run.
        """
        with self._switching:
            if not self._runs():
                self._machine = _start(shlex.split(self.command), self._listener)

    @export
    def off(self) -> None:
        """Kill the machine, as pulling the plug does."""
        with self._switching:
            if self._machine is not None:
                self._machine.kill()
                self._machine.wait()
                self._machine = None

    @export
    def read(self) -> Generator[PowerReading, None, None]:
        """Yield 5 V while the machine runs, and no current: a virtual machine draws none."""
        yield PowerReading(voltage=5.0 if self._runs() else 0.0, current=0.0)

    def close(self) -> None:
        """Switch off, and remove the console."""
        self.off()
        self._listener.close()
        Path(self.console).unlink(missing_ok=True)
        super().close()

    def _runs(self) -> bool:
        return self._machine is not None and self._machine.poll() is None


def _start(command: list[str], console: socket.socket) -> Popen[bytes]:
    # QEMU greets on its monitor when the machine runs; when it cannot run it, it ends instead. At
    # an orderly end it would remove the console, so a machine that shuts itself down is kept.
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryFile() as complaints:
        with theirs:
            joints = [*_serial_port(console.fileno()), *_monitor(theirs.fileno())]
            machine = Popen(
                [*command, "-no-shutdown", *joints],
                stdin=DEVNULL,
                stdout=complaints,
                stderr=complaints,
                pass_fds=(console.fileno(), theirs.fileno()),
            )
        if ours.recv(1):
            return machine
        machine.wait()
        complaints.seek(0)
        message = complaints.read().decode(errors="replace").strip()
        raise RuntimeError(f"{command[0]} ended with code {machine.returncode}: {message}")


def _serial_port(fd: int) -> list[str]:
    socket_of_fd = f"socket,id=console,fd={fd},server=on,wait=off"
    return ["-chardev", socket_of_fd, "-serial", "chardev:console"]


def _monitor(fd: int) -> list[str]:
    return ["-chardev", f"socket,id=monitor,fd={fd}", "-mon", "chardev=monitor,mode=control"]
