"""Shells and commands: how they are started, what they are told, and how they end."""

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jumpstarter.shell import launch_shell, plan_shell, shell_environment

LAUNCH = """
import sys
from jumpstarter.shell import launch_shell
sys.exit(launch_shell("host", "here", [], False, False, command=sys.argv[1:]))
"""

LAUNCH_WITH_ANOTHER_THREAD = f"""
import signal, threading

def run() -> None:
    signal.sigwait([signal.SIGUSR1])
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
threading.Thread(target=run, daemon=True).start()
{LAUNCH}
"""

HEED = """
import os, select, signal, socket, sys
told = {signal.SIGTERM: ("TERM", 5), signal.SIGHUP: ("HUP", 6), signal.SIGINT: ("INT", 4)}
near, far = socket.socketpair()
far.setblocking(False)
signal.set_wakeup_fd(far.fileno())
for number in told:
    signal.signal(number, lambda *_: None)
print("ready", flush=True)
if near in select.select([near, 0], [], [])[0]:
    name, code = told[near.recv(1)[0]]
    print("got", name)
    sys.exit(code)
sys.exit(3)
"""
"""A command that says which signal came, and ends with 3 at the end of its input.

It cannot miss one, as a shell can that is about to read.
"""

Launch = Callable[..., int]


@pytest.fixture
def launch() -> Launch:
    """What launches a command with the arguments that every test needs."""

    def start(*command: str, **options: object) -> int:
        return launch_shell(
            "/run/socket",
            "here",
            ["a.*", "b.C"],
            False,
            False,
            command=command or None,
            **options,  # pyright: ignore[reportArgumentType] - of several types
        )

    return start


@pytest.fixture
def echo_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shell that prints its arguments and variables."""
    shell = tmp_path / "bash"
    shell.write_text('#!/bin/sh\necho "arguments: $*"\nenv\n')
    shell.chmod(0o755)
    monkeypatch.setenv("SHELL", str(shell))
    return shell


@dataclass
class Lease:
    """As much of a lease as a shell wants to know."""

    name: str = "lease-1"
    exporter_name: str = "desk"
    exporter_labels: Mapping[str, str] = field(default_factory=lambda: {"b": "2", "a": "1"})
    lease_ended: bool = False
    lease_ending_callback: Any = None


class EndingLease(Lease):
    """Tells of its end as soon as somebody wants to know: first that it is near."""

    def __setattr__(self, name: str, value: Any):
        object.__setattr__(self, name, value)
        if name == "lease_ending_callback" and value is not None:
            value(self, timedelta(minutes=5))
            value(self, timedelta(0))


@pytest.mark.parametrize(
    ("shell", "use_profiles", "argv", "variables"),
    [
        ("/bin/bash", False, ["/bin/bash", "--norc", "--noprofile"], ["PS1"]),
        ("bash", True, ["bash"], ["PS1"]),
        ("/bin/zsh", False, ["/bin/zsh", "-o", "inc_append_history", "--no-rcs"], ["PS1"]),
        ("/bin/zsh", True, ["/bin/zsh", "-o", "inc_append_history"], ["PS1"]),
        ("/bin/sh", False, ["/bin/sh"], []),
        ("/opt/elvish", False, ["/opt/elvish"], []),
    ],
)
def test_plan(shell: str, use_profiles: bool, argv: list[str], variables: list[str]):
    plan = plan_shell(shell, "desk", use_profiles=use_profiles)
    assert list(plan.argv) == argv
    assert list(plan.environment) == variables
    assert all("desk" in text and "⚡" in text for text in plan.environment.values())


def test_plan_for_fish():
    plan = plan_shell("/usr/bin/fish", "desk", use_profiles=False)
    assert plan.argv[:2] == ("/usr/bin/fish", "--init-command")
    assert plan.argv[2].startswith("function fish_prompt;")
    assert "printf 'desk'" in plan.argv[2]
    assert plan.environment == {}


@pytest.mark.parametrize(
    ("unsafe", "insecure", "passphrase", "variables"),
    [
        (False, False, None, {"JMP_DRIVERS_ALLOW": "a.*,b.C"}),
        (True, False, None, {"JMP_DRIVERS_ALLOW": "UNSAFE"}),
        (False, True, None, {"JMP_DRIVERS_ALLOW": "a.*,b.C", "JMP_GRPC_INSECURE": "1"}),
        (True, False, "s", {"JMP_DRIVERS_ALLOW": "UNSAFE", "JMP_GRPC_PASSPHRASE": "s"}),
    ],
)
def test_variables(unsafe: bool, insecure: bool, passphrase: str | None, variables: dict[str, str]):
    allow = ["a.*", "b.C"]
    environment = shell_environment(
        "host:1", allow, unsafe=unsafe, insecure=insecure, passphrase=passphrase
    )
    always = {"JUMPSTARTER_HOST": "host:1", "_JMP_SUPPRESS_DRIVER_WARNINGS": "1"}
    assert environment == always | variables


@pytest.mark.parametrize("code", [0, 1, 7, 126, 127, 255])
def test_code_of_the_command(launch: Launch, code: int):
    assert launch("sh", "-c", f"exit {code}") == code


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV"])
def test_command_ended_by_a_signal(launch: Launch, name: str):
    number = signal.Signals[name]
    assert launch("sh", "-c", f"kill -{number.value} $$") == 128 + number


def test_command_that_is_not_there(launch: Launch, capfd: pytest.CaptureFixture[str]):
    assert launch("no-such-program", "argument") == 127
    assert capfd.readouterr() == ("", "no-such-program: command not found\n")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [("plain", "text", "Permission denied"), ("folder", None, "Permission denied")],
)
def test_command_that_cannot_be_executed(
    launch: Launch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    text: str | None,
    reason: str,
):
    path = tmp_path / name
    if text is None:
        path.mkdir()
    else:
        path.write_text(text)
    assert launch(str(path)) == 126
    assert capfd.readouterr() == ("", f"{path}: cannot be executed: {reason}\n")


def test_command_of_another_machine(
    launch: Launch, capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    path = tmp_path / "binary"
    path.write_bytes(b"\x7fELF nothing")
    path.chmod(0o755)
    assert launch(str(path)) == 126
    assert capfd.readouterr().err == f"{path}: cannot be executed: Exec format error\n"


def test_command_sees_the_exporter_and_our_variables(
    launch: Launch, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OURS", "kept")
    script = 'echo "$JUMPSTARTER_HOST $JMP_DRIVERS_ALLOW $OURS $EXTRA"'
    assert launch("sh", "-c", script, extra={"EXTRA": "more"}, motd="hello") == 0
    assert capfd.readouterr().out == "/run/socket a.*,b.C kept more\n"


def test_command_is_told_of_the_lease(launch: Launch, capfd: pytest.CaptureFixture[str]):
    script = 'echo "$JMP_LEASE $JMP_EXPORTER $JMP_EXPORTER_LABELS"'
    assert launch("sh", "-c", script, lease=Lease()) == 0
    assert capfd.readouterr().out == "lease-1 desk a=1,b=2\n"


@pytest.mark.parametrize("lease", [EndingLease(), Lease(lease_ended=True)])
def test_shell_hangs_up_when_the_lease_is_over(launch: Launch, lease: Lease):
    assert launch("sleep", "60", lease=lease) == 128 + signal.SIGHUP


def test_warning_of_the_end_is_not_the_end(launch: Launch):
    class Near(EndingLease):
        def __setattr__(self, name: str, value: Any):
            object.__setattr__(self, name, value)
            if name == "lease_ending_callback" and value is not None:
                value(self, timedelta(seconds=1))

    assert launch("sh", "-c", "exit 3", lease=Near()) == 3


def test_secrets_stand_in_no_arguments(launch: Launch, capfd: pytest.CaptureFixture[str]):
    assert launch("sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline", passphrase="secret") == 0
    assert "secret" not in capfd.readouterr().out


@pytest.mark.usefixtures("echo_shell")
def test_interactive_shell(launch: Launch, capfd: pytest.CaptureFixture[str]):
    assert launch(motd="welcome\n\n") == 0
    out = capfd.readouterr().out
    assert out.startswith("welcome\narguments: --norc --noprofile\n")
    assert "JUMPSTARTER_HOST=/run/socket\n" in out
    assert "here" in next(line for line in out.splitlines() if line.startswith("PS1="))


@pytest.mark.parametrize("shell", [None, ""])
def test_bash_where_no_shell_is_named(
    launch: Launch,
    capfd: pytest.CaptureFixture[str],
    echo_shell: Path,
    monkeypatch: pytest.MonkeyPatch,
    shell: str | None,
):
    monkeypatch.delenv("SHELL")
    if shell is not None:
        monkeypatch.setenv("SHELL", shell)
    monkeypatch.setenv("PATH", f"{echo_shell.parent}:{os.environ['PATH']}")
    assert launch() == 0
    assert capfd.readouterr().out.startswith("arguments: --norc --noprofile\n")


def test_prompt_of_a_real_bash():
    program = (
        "from jumpstarter.shell import launch_shell\n"
        "raise SystemExit(launch_shell('host', 'my desk', [], False, False))\n"
    )
    main, terminal = pty.openpty()
    try:
        environment = {**os.environ, "SHELL": "/bin/bash", "TERM": "dumb"}
        argv = [sys.executable, "-c", program]
        with subprocess.Popen(
            argv, stdin=terminal, stdout=terminal, stderr=terminal, env=environment, cwd="/usr"
        ) as process:
            seen = b""
            while "➤".encode() not in seen:
                seen += os.read(main, 1024)
            os.write(main, b"exit 9\n")
            assert process.wait(10) == 9
    finally:
        os.close(terminal)
        os.close(main)
    assert "my desk" in seen.decode()
    assert "usr" in seen.decode()


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGTERM, 5, "got TERM\n"), (signal.SIGHUP, 6, "got HUP\n")],
)
def test_signal_to_us_is_passed_on(number: signal.Signals, code: int, said: str):
    with started() as process:
        process.send_signal(number)
        assert (process.wait(10), rest_of(process)) == (code, said)


def test_signal_that_does_not_wake_the_main_thread_is_passed_on():
    """As one that comes when it is just about to wait for the command."""
    with started(LAUNCH_WITH_ANOTHER_THREAD) as process:
        process.send_signal(signal.SIGUSR1)
        assert (process.wait(10), rest_of(process)) == (5, "got TERM\n")


def test_interrupt_to_us_alone_disturbs_nobody():
    with started() as process:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (3, "")


def test_interrupt_of_the_terminal_is_left_to_the_command():
    with started(start_new_session=True) as process:
        os.killpg(process.pid, signal.SIGINT)
        assert (process.wait(10), rest_of(process)) == (4, "got INT\n")


def rest_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.read()


def started(program: str = LAUNCH, *, start_new_session: bool = False) -> subprocess.Popen[str]:
    """Launch a command that traps signals, in a process of its own, and wait until it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, sys.executable, "-c", HEED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=start_new_session,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_command_does_not_inherit_that_we_ignore_interrupts(launch: Launch):
    assert launch("sh", "-c", "kill -INT $$; exit 0") == 128 + signal.SIGINT


def test_handlers_are_put_back(launch: Launch):
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    assert launch("true") == 0
    assert launch("no-such-program") == 127
    assert [signal.getsignal(number) for number in numbers] == before


def test_from_another_thread(launch: Launch):
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(launch("sh", "-c", "exit 7")))
    thread.start()
    thread.join()
    assert codes == [7]
