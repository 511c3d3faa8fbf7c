"""`jmp shell` of a client, in a real lab: leases, the shell in them, and their ends."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import pytest
from jumpstarter.config.client import ClientConfigV1Alpha1

from jumpstarter_cli.actions import lease_shell
from jumpstarter_cli.conftest import JMP, variables
from jumpstarter_cli.lab_desk_test import LabDesk

HOOKS = "hooks:\n  beforeLease: {script: echo begun %s}\n  afterLease: {script: echo ended}\n"
FAILS = "hooks:\n  %s: {script: exit 3, onFailure: %s}\n"
ON_DEMO = ("shell", "-l", "board=demo")


@pytest.fixture
def desk(lab_desk: LabDesk) -> LabDesk:
    lab_desk.client("ann")
    lab_desk.use("ann")
    programs = Path(sys.executable).parent
    lab_desk.monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    lab_desk.monkeypatch.setenv("XDG_RUNTIME_DIR", tempfile.gettempdir())
    return lab_desk


def no_lease(desk: LabDesk) -> bool:
    return desk.jmp("get", "leases", "-A").out == "No resources found.\n"


def test_j_reaches_the_leased_exporter_with_its_hooks_around(desk: LabDesk):
    with desk.running("desk", HOOKS % "$CLIENT_NAME", board="demo"):
        done = desk.jmp(*ON_DEMO, "--", "sh", "-c", "j lamp on; env; exit 7")
        assert done.code == 7, done.err
        assert no_lease(desk)
    assert done.out.startswith("Lamp is on\n")
    given = variables(done.out)
    assert given["JMP_EXPORTER"] == "desk"
    assert given["JMP_EXPORTER_LABELS"] == "board=demo,jumpstarter.dev/name=desk,place=desk"
    assert given["JMP_DRIVERS_ALLOW"] == "UNSAFE"
    assert len(given["JMP_LEASE"]) == 36
    assert not {"JMP_TOKEN", "JMP_GRPC_PASSPHRASE"} & set(given)
    assert done.err.index("begun ann") < done.err.index("ended")


@pytest.mark.parametrize(("command", "code"), [("no-such-program", 127), ("/", 126)])
def test_command_that_cannot_run_has_the_code_of_a_shell(desk: LabDesk, command: str, code: int):
    with desk.running("desk", board="demo"):
        assert desk.jmp(*ON_DEMO, "--", command).code == code


def test_a_lease_that_was_there_is_used_and_kept(desk: LabDesk):
    with desk.running("desk", board="demo"):
        name = desk.lease("-l", "board=demo")
        for words, env in [
            (("shell", "--lease", name), {}),
            (("shell",), {"JMP_LEASE": name}),
            (("shell",), {}),
        ]:
            done = desk.jmp(*words, "--", "sh", "-c", "echo $JMP_LEASE", env=env)
            assert (done.code, done.out) == (0, f"{name}\n")
        assert desk.jmp("get", "leases", "-o", "name").out == f"{name}\n"


def second(*_: object, **__: object) -> int:
    """Answer a question as one who takes the second of what there is."""
    return 2


def test_which_of_several_leases_is_asked_on_a_terminal_only(
    desk: LabDesk, monkeypatch: pytest.MonkeyPatch
):
    desk.exporter("desk", board="demo")
    names = sorted(desk.lease("-l", "board=demo") for _ in range(2))
    done = desk.jmp("shell", "--", "true")
    assert (done.code, done.out) == (2, "")
    assert f"this client has 2 leases; choose with --lease: {', '.join(names)}" in done.err
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(click, "prompt", second)
    assert lease_shell.own_lease(ClientConfigV1Alpha1.load("ann")) == names[1]


def test_lease_that_runs_out_hangs_up_and_is_no_error(desk: LabDesk):
    with desk.running("desk", board="demo"):
        done = desk.jmp(*ON_DEMO, "--duration", "2s", "--", "sleep", "50")
    assert done.code == 128 + signal.SIGHUP
    assert "has ended" in done.err
    assert "Error" not in done.err


def test_lease_that_is_given_away_hangs_up_and_is_an_error(desk: LabDesk):
    desk.client("bob")
    with desk.running("desk", board="demo"):
        name = desk.lease("-l", "board=demo")
        words = (*JMP, "update", "lease", name, "--to-client", "bob", "--client-config")
        give = " ".join([*words, str(desk.clients / "ann.yaml")])
        done = desk.jmp("shell", "--lease", name, "--", "sh", "-c", f"{give} >&2; sleep 50")
        assert done.code == 1
        assert done.err.endswith(f"Error: lease {name} was transferred to another client\n")
        assert desk.jmp("get", "leases", "--client", "bob", "-o", "name").out == f"{name}\n"


def test_hook_that_warns_is_shown(desk: LabDesk):
    with desk.running("desk", FAILS % ("beforeLease", "warn"), board="demo"):
        done = desk.jmp(*ON_DEMO, "--", "true")
    assert done.code == 0
    assert "Warning: beforeLease hook warning: Hook failed with exit code 3\n" in done.err


def test_hook_after_the_lease_that_warns_is_shown(desk: LabDesk):
    with desk.running("desk", FAILS % ("afterLease", "warn"), board="demo"):
        done = desk.jmp(*ON_DEMO, "--", "true")
    assert done.code == 0
    assert "Warning: afterLease hook warning: Hook failed with exit code 3\n" in done.err


def test_hook_that_ends_the_lease_is_an_error(desk: LabDesk):
    with desk.running("desk", FAILS % ("beforeLease", "endLease"), board="demo"):
        done = desk.jmp(*ON_DEMO, "--retry-timeout", "0", "--", "echo", "never")
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[-1].startswith("Error: ")


def test_exporter_logs_are_shown_when_they_are_asked_for(desk: LabDesk):
    with desk.running("desk", board="demo"):
        quiet = desk.jmp(*ON_DEMO, "--", "j", "lamp", "call", "whisper")
        told = desk.jmp(*ON_DEMO, "--exporter-logs", "--", "j", "lamp", "call", "whisper")
    assert (quiet.code, quiet.err) == (0, "")
    assert "INFO    exporter:driver: psst" in told.err


def test_exporter_that_does_not_exist_is_told_at_once(desk: LabDesk):
    done = desk.jmp("shell", "-n", "none", "--", "true")
    assert (done.code, done.out) == (1, "")
    assert done.err == "Error: the lease cannot be satisfied: there is no exporter none\n"


def test_lease_that_has_ended_is_an_error_when_it_is_named(desk: LabDesk):
    desk.exporter("desk", board="demo")
    name = desk.lease("-l", "board=demo")
    desk.jmp("delete", "leases", name)
    done = desk.jmp("shell", "--lease", name, "--", "true")
    assert (done.code, done.err) == (1, f"Error: lease {name} has ended; take another one\n")


def test_waiting_has_an_end_and_leaves_no_lease(desk: LabDesk):
    desk.exporter("desk", board="demo")
    done = desk.jmp(*ON_DEMO, "--acquisition-timeout", "5s", "--", "true")
    assert done.code == 1
    waiting, error = done.err.splitlines()
    assert waiting.startswith("waiting for the lease: ")
    assert error.startswith("Error: no lease within 5 seconds: ")
    assert no_lease(desk)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_it_waits_gives_the_lease_up(desk: LabDesk, number: signal.Signals):
    desk.exporter("desk", board="demo")
    words = ("--client-config", str(desk.clients / "ann.yaml"))
    argv = (*JMP, *ON_DEMO, *words, "--", "true")
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("waiting for the lease: ")
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err.strip()) == (2, "Error: interrupted")
    assert no_lease(desk)


def test_interactive_shell_is_greeted_and_has_a_prompt(desk: LabDesk):
    with desk.running("desk", "motd: Mind the lamp\n", board="demo"):
        done = subprocess.run(
            [*JMP, *ON_DEMO, "--client-config", str(desk.clients / "ann.yaml")],
            input="echo in $JMP_EXPORTER\nexit 3\n",
            env={**os.environ, "SHELL": "/bin/sh"},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    assert (done.returncode, done.stdout) == (3, "Mind the lamp\nin desk\n")
