"""shell: configured commands, called as methods and from the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from .conftest import Clients, Offers, Served

ENTRY = """
type: jumpstarter_driver_shell.driver.Shell
config:
  methods:
    greet: echo "hello $1 from $PLACE"
    break:
      command: echo sparks >&2; exit 3
      description: Breaks it
"""
ENOUGH = 30
"""Child processes: one in twenty crashed on an event loop that runs fork hooks in them."""


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-shell") == {"Shell"}


def test_build_with_methods(clients: Clients):
    assert clients(ENTRY) == {"": "jumpstarter_driver_shell.client.ShellClient"}


def test_call_returns_the_exit_code(served: Served):
    client = served(ENTRY)
    assert getattr(client, "break")() == 3


def test_call_prints_the_output(served: Served, capfd: pytest.CaptureFixture[str]):
    assert served(ENTRY).greet("you", PLACE="here") == 0
    assert capfd.readouterr().out == "hello you from here\n"


def test_call_does_not_lose_processes(served: Served):
    client = served(ENTRY)
    assert {client.greet() for _ in range(ENOUGH)} == {0}


def test_call_command_shows_its_description(served: Served):
    assert "Breaks it" in CliRunner().invoke(served(ENTRY).cli(), ["--help"]).output


def test_call_command_fails_as_the_method_does(served: Served):
    assert CliRunner().invoke(served(ENTRY).cli(), ["break"]).exit_code != 0


def test_call_from_a_shell(tmp_path: Path):
    file = tmp_path / "exporter.yaml"
    config = {
        "apiVersion": "jumpstarter.dev/v1alpha1",
        "kind": "ExporterConfig",
        "metadata": {"namespace": "default", "name": "desk"},
        "export": {"shell": {"type": "Shell", "config": {"methods": {"greet": "echo hi $1"}}}},
    }
    file.write_text(json.dumps(config))
    scripts = Path(sys.executable).parent
    command = [scripts / "jmp", "shell", "--exporter-config", file, "--"]
    command += [scripts / "j", "shell", "greet", "you"]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert (done.stdout, done.returncode) == ("hi you\n", 0), done.stderr
