"""A shell, or one command, in which `j` reaches an exporter.

The environment is all that the child gets: secrets never stand in its arguments.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from jumpstarter.config import env as names

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126

_FISH_PROMPT: Final = (
    "function fish_prompt; set_color grey; printf '%s' (basename (pwd)); set_color yellow; "
    "printf ' ⚡'; set_color white; printf '{context}'; set_color yellow; printf ' ➤ '; "
    "set_color normal; end"
)


class Leased(Protocol):
    """What a shell says of the lease that it runs in."""

    @property
    def name(self) -> str:
        """The lease's own name."""
        ...

    @property
    def exporter_name(self) -> str:
        """The exporter that was leased."""
        ...

    @property
    def exporter_labels(self) -> Mapping[str, str]:
        """The exporter's labels."""
        ...

    @property
    def lease_ended(self) -> bool:
        """Whether its time is over already."""
        ...

    lease_ending_callback: Any
    """Called with the lease and the time that is left: once before its end, once at it."""


@dataclass(frozen=True, slots=True)
class ShellPlan:
    """What to run: arguments, and what its environment has beyond ours."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]


def plan_shell(shell: str, context: str, *, use_profiles: bool) -> ShellPlan:
    """Return how to start `shell`, the path of a program, with a prompt that shows `context`.

    The user's own profile is read only with `use_profiles`, since it may replace the prompt.
    """
    match Path(shell).name:
        case "bash":
            options = () if use_profiles else ("--norc", "--noprofile")
            prompt = (
                "\\[\\e[90m\\]\\W \\[\\e[93m\\]⚡\\[\\e[97m\\]"
                f"{context} \\[\\e[93m\\]➤\\[\\e[0m\\] "
            )
            return ShellPlan((shell, *options), {"PS1": prompt})
        case "zsh":
            options = ("-o", "inc_append_history") + (() if use_profiles else ("--no-rcs",))
            prompt = f"%F{{8}}%1~ %F{{yellow}}⚡%F{{white}}{context} %F{{yellow}}➤%f "
            return ShellPlan((shell, *options), {"PS1": prompt})
        case "fish":
            return ShellPlan((shell, "--init-command", _FISH_PROMPT.format(context=context)), {})
        case _:
            return ShellPlan((shell,), {})


def shell_environment(
    host: str, allow: Sequence[str], *, unsafe: bool, insecure: bool, passphrase: str | None
) -> dict[str, str]:
    """Return the variables by which `j` finds the exporter at `host`."""
    environment = {
        names.JUMPSTARTER_HOST: host,
        names.JMP_DRIVERS_ALLOW: names.UNSAFE if unsafe else ",".join(allow),
        names.JMP_SUPPRESS_DRIVER_WARNINGS: "1",
    }
    if insecure:
        environment[names.JMP_GRPC_INSECURE] = "1"
    if passphrase is not None:
        environment[names.JMP_GRPC_PASSPHRASE] = passphrase
    return environment


def lease_environment(lease: Leased) -> dict[str, str]:
    """Return the variables by which programs learn which exporter they have."""
    labels = sorted(lease.exporter_labels.items())
    return {
        names.JMP_LEASE: lease.name,
        names.JMP_EXPORTER: lease.exporter_name,
        names.JMP_EXPORTER_LABELS: ",".join(f"{key}={value}" for key, value in labels),
    }


def launch_shell(  # noqa: PLR0913 - public API
    host: str,
    context: str,
    allow: Sequence[str],
    unsafe: bool,  # noqa: FBT001 - public API
    use_profiles: bool,  # noqa: FBT001 - public API
    *,
    command: Sequence[str] | None = None,
    lease: Leased | None = None,
    insecure: bool = False,
    passphrase: str | None = None,
    motd: str | None = None,
    extra: Mapping[str, str] | None = None,
) -> int:
    """Run `command`, or an interactive shell, and return its exit code.

    `host` is a Unix socket's path or `host:port`; `context` stands in the prompt; the child is told
    of `lease`; `motd` is printed before an interactive shell; `extra` are more variables for the
    child. A program ended by signal n gives 128 + n, one that is not there 127, one that cannot be
    executed 126.
    """
    variables = shell_environment(
        host, allow, unsafe=unsafe, insecure=insecure, passphrase=passphrase
    )
    if lease is not None:
        variables |= lease_environment(lease)
    if command:
        plan = ShellPlan(tuple(command), {})
    else:
        shell = os.environ.get("SHELL") or "bash"
        plan = plan_shell(shell, context, use_profiles=use_profiles)
        if motd:
            sys.stdout.write(f"{motd.rstrip()}\n")
            sys.stdout.flush()
    environment = {**os.environ, **variables, **plan.environment, **(extra or {})}
    return _run(plan.argv, environment, lease)


def lease_ending_handler(
    process: "subprocess.Popen[bytes]", lease: object, remaining: timedelta
) -> None:
    """Let a shell hang up when its lease has no time left."""
    del lease
    if remaining <= timedelta(0):
        process.send_signal(signal.SIGHUP)


def _run(argv: Sequence[str], environment: Mapping[str, str], lease: Leased | None) -> int:
    with _signals_for_child() as child_exists:
        try:
            child = subprocess.Popen(argv, env=environment)
        except FileNotFoundError:
            sys.stderr.write(f"{argv[0]}: command not found\n")
            return NOT_FOUND
        except OSError as error:
            sys.stderr.write(f"{argv[0]}: cannot be executed: {error.strerror}\n")
            return NOT_EXECUTABLE
        with child:
            child_exists(child)
            if lease is not None:
                lease.lease_ending_callback = partial(lease_ending_handler, child)
                if lease.lease_ended:
                    lease_ending_handler(child, lease, timedelta(0))
            code = _wait(child)
    return code if code >= 0 else 128 - code


def _wait(child: "subprocess.Popen[bytes]") -> int:
    """Return how `child` ended; signals are handled when they come.

    Python runs handlers in the main thread, which no signal wakes that comes when it is just about
    to wait for a child. What it writes to its wake-up descriptor is not missed.
    """
    if threading.current_thread() is not threading.main_thread():
        return child.wait()
    woken, waking = socket.socketpair()
    with woken, waking:
        waking.settimeout(0)

        def tell_end() -> None:
            child.wait()
            # There may be enough to be read already, or nobody who reads any more.
            with suppress(OSError):
                waking.send(b"\0")

        before = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        waiter = threading.Thread(target=tell_end, daemon=True)
        waiter.start()
        try:
            while child.returncode is None:
                woken.recv(64)
        finally:
            signal.set_wakeup_fd(before)
        waiter.join()
    return child.returncode


class _Relay:
    """Passes signals on to a child, also those that come before it is there."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def pass_on(self, number: int, _: object) -> None:
        if self._child is None:
            self._early.append(number)
        else:
            self._child.send_signal(number)

    def child_exists(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        for number in self._early:
            child.send_signal(number)


def _leave(_: int, __: object) -> None:
    """Do nothing: a handler, unlike SIG_IGN, is not inherited by the child."""


@contextmanager
def _signals_for_child() -> Generator[Callable[[subprocess.Popen[bytes]], None]]:
    """Leave it to a child how to take signals, so that we outlive it and clean up.

    The terminal sends its interrupt to both; what is sent to us alone is passed on, once the
    yielded function has been told of the child. Only the main thread may set handlers; in another
    one signals stay as they are.
    """
    relay = _Relay()
    if threading.current_thread() is not threading.main_thread():
        yield relay.child_exists
        return
    before = {signal.SIGINT: signal.signal(signal.SIGINT, _leave)}
    for number in (signal.SIGTERM, signal.SIGHUP):
        before[number] = signal.signal(number, relay.pass_on)
    try:
        yield relay.child_exists
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
