import os
import pty
import re
import select
import signal
import subprocess

import pytest

from jumpstarter_cli.conftest import JMP, LAMP, Desk, variables

HOOKS = """\
hooks:
  beforeLease: {{script: "echo begun; {before}", onFailure: {failure}}}
  afterLease: {{script: "echo ended; {after}", onFailure: {failure}}}
"""


def hooks(before: str = "true", after: str = "true", failure: str = "warn") -> str:
    return LAMP + HOOKS.format(before=before, after=after, failure=failure)


def shell(file: str, *command: str) -> tuple[str, ...]:
    return ("shell", "--exporter-config", file, "--", *command)


@pytest.mark.parametrize("code", [0, 1, 7, 200])
def test_exit_code_of_the_command_is_passed_on(code: int, desk: Desk):
    done = desk.jmp(*shell(desk.file(LAMP), "sh", "-c", f"exit {code}"))
    assert (done.code, done.out, done.err) == (code, "", "")


def test_command_ended_by_a_signal_gives_128_and_its_number(desk: Desk):
    assert desk.jmp(*shell(desk.file(LAMP), "sh", "-c", "kill -9 $$")).code == 137


def test_command_that_is_not_there_is_127(desk: Desk):
    done = desk.jmp(*shell(desk.file(LAMP), "no-such-program"))
    assert (done.code, done.out) == (127, "")
    assert done.err == "no-such-program: command not found\n"


def test_command_that_cannot_be_executed_is_126(desk: Desk):
    done = desk.jmp(*shell(desk.file(LAMP), desk.file("text", "text")))
    assert done.code == 126
    assert "cannot be executed: Permission denied" in done.err


def test_command_reaches_the_drivers_and_standard_input(desk: Desk):
    done = desk.jmp(*shell(desk.file(LAMP), "sh", "-c", "cat; j lamp on"), given="typed\n")
    assert (done.code, done.out) == (0, "typed\nLamp is on\n")


def test_alias_serves_its_file(desk: Desk):
    desk.alias("desk", LAMP)
    done = desk.jmp("shell", "--exporter", "desk", "--", "j", "lamp", "on")
    assert (done.code, done.out) == (0, "Lamp is on\n")


def test_command_sees_where_the_exporter_is(desk: Desk):
    done = desk.jmp(*shell(desk.file(LAMP), "env"))
    found = variables(done.out)
    assert found["JUMPSTARTER_HOST"].startswith(str(desk.sockets))
    assert found["JMP_DRIVERS_ALLOW"] == "UNSAFE"


def test_j_is_found_when_its_folder_is_not_on_the_path(desk: Desk):
    argv = shell(desk.file(LAMP), "j", "lamp", "on")
    done = desk.jmp(*argv, env={"PATH": "/usr/bin:/bin"})
    assert (done.code, done.out) == (0, "Lamp is on\n")


def test_message_of_the_day_is_for_shells_only(desk: Desk):
    file = desk.file(f"{LAMP}motd: Mind the heat\n")
    assert desk.jmp(*shell(file, "true")).out == ""
    done = desk.jmp("shell", "--exporter-config", file, env={"SHELL": "/bin/sh"}, given="exit 3\n")
    assert (done.code, done.out) == (3, "Mind the heat\n")


def test_hooks_run_around_the_command_and_are_heard(desk: Desk):
    script = "j lamp on >> told"
    file = desk.file(hooks(before=script, after=script))
    done = desk.jmp(*shell(file, "sh", "-c", "echo between >> told"))
    assert (done.code, done.out) == (0, "")
    assert (desk.folder / "told").read_text() == "Lamp is on\nbetween\nLamp is on\n"
    assert "hook.beforeLease: begun" in done.err
    assert "hook.afterLease: ended" in done.err


@pytest.mark.parametrize("failure", ["endLease", "exit"])
def test_hook_that_must_succeed_keeps_the_command_from_running(failure: str, desk: Desk):
    file = desk.file(hooks(before="exit 3", failure=failure))
    done = desk.jmp(*shell(file, "echo", "ran"))
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("Error: beforeLease hook: Hook failed with exit code 3\n")


def test_hook_that_may_fail_does_not(desk: Desk):
    done = desk.jmp(*shell(desk.file(hooks(before="exit 3")), "echo", "ran"))
    assert (done.code, done.out) == (0, "ran\n")


def test_failure_afterwards_is_an_error_though_the_command_went_well(desk: Desk):
    done = desk.jmp(*shell(desk.file(hooks(after="exit 3", failure="exit")), "echo", "ran"))
    assert (done.code, done.out) == (1, "ran\n")
    assert done.err.endswith("Error: afterLease hook: Hook failed with exit code 3\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_is_passed_on_to_the_command_and_the_exporter_ends_after_it(
    number: signal.Signals, desk: Desk
):
    script = "trap 'echo got it; exit 5' TERM HUP; j lamp on; while :; do read -r x < pipe; done"
    os.mkfifo(desk.folder / "pipe")
    file = desk.file(hooks())
    with desk.start(*JMP, *shell(file, "sh", "-c", script)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "Lamp is on\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (5, "got it\n")
    assert "hook.afterLease: ended" in err
    assert list(desk.sockets.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_while_a_hook_runs_ends_both(number: signal.Signals, desk: Desk):
    file = desk.file(hooks(before="exec sleep 50"))
    with desk.start(*JMP, *shell(file, "echo", "ran")) as process:
        assert process.stderr is not None
        assert "begun" in process.stderr.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (2, "")
    assert err.strip() == "Error: interrupted"
    assert list(desk.sockets.iterdir()) == []


def type_into_bash(desk: Desk, *lines: str) -> tuple[int, str]:
    """Open a local shell on a terminal, type the lines, and return its exit code and its output."""
    main, terminal = pty.openpty()
    try:
        process = subprocess.Popen(
            # With the terminal as its own, as a login has it: job control needs that.
            ["setsid", "--ctty", *JMP, "shell", "--exporter-config", "board.yaml"],
            cwd=desk.folder,
            env={**desk.environ, "SHELL": "/bin/bash"},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
    finally:
        os.close(terminal)
    seen = b""
    waiting = list(lines)
    with process:
        while select.select([main], [], [], 30)[0]:
            try:
                seen += os.read(main, 4096)
            except OSError:
                # The way Linux says that nobody has the terminal open any more.
                break
            if seen.endswith(b"\xe2\x9e\xa4\x1b[0m ") and waiting:
                os.write(main, waiting.pop(0).encode() + b"\n")
        process.kill()
    os.close(main)
    return process.returncode, re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())


def test_interactive_shell_shows_where_it_is(desk: Desk):
    desk.file(f"{LAMP}motd: Mind the heat\n", "board.yaml")
    code, seen = type_into_bash(desk, "j lamp on", "exit 9")
    assert code == 9
    lines = [line.rstrip("\r") for line in seen.splitlines()]
    assert lines[:4] == [
        "Mind the heat",
        "~ ⚡local ➤ j lamp on",
        "Lamp is on",
        "~ ⚡local ➤ exit 9",
    ]
