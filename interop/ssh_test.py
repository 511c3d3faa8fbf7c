"""ssh: commands run by a real ssh client against a real ssh server, through the exporter."""

import getpass
import os
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from .conftest import Clients, FreePort, Offers, Program, Served

RUNTIME = Path("/run/sshd")
"""A server started by root insists on this directory."""

SETTINGS = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
"""

# The type checker does not have this package in its environment.
ssh_client: Any = import_module("jumpstarter_driver_ssh.client")


@pytest.fixture
def entry(tmp_path: Path, free_port: FreePort, program: Program) -> Iterator[str]:
    """The YAML entry of a driver for a server that runs."""
    port = free_port()
    for key in ("host", "user"):
        keygen = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / key]
        subprocess.run(keygen, check=True)
    settings = tmp_path / "sshd_config"
    settings.write_text(SETTINGS.format(port=port, folder=tmp_path))
    if os.geteuid() == 0:
        RUNTIME.mkdir(exist_ok=True)
    command = [program("sshd"), "-D", "-e", "-f", settings]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        assert any("Server listening" in line for line in server.stderr)
        yield f"""
type: jumpstarter_driver_ssh.driver.SSHWrapper
config: {{default_username: {getpass.getuser()}, ssh_identity_file: {tmp_path}/user}}
children:
  tcp:
    type: jumpstarter_driver_network.driver.TcpNetwork
    config: {{host: 127.0.0.1, port: {port}}}
"""
        server.terminate()


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-ssh") == {"SSHWrapper"}


def test_build_with_a_network(clients: Clients, entry: str):
    assert clients(entry) == {
        "": "jumpstarter_driver_ssh.client.SSHWrapperClient",
        "tcp": "jumpstarter_driver_network.client.NetworkClient",
    }


@pytest.mark.parametrize("direct", [False, True])
def test_call_runs_a_command_on_the_far_side(served: Served, entry: str, direct: bool):
    options = ssh_client.SSHCommandRunOptions(direct=direct)
    done = served(entry).run(options, ["echo", "$((6 * 7));", "exit", "3"])
    assert (done.stdout, done.return_code) == ("42\n", 3)


def test_call_command_line(served: Served, entry: str, capfd: pytest.CaptureFixture[str]):
    result = CliRunner().invoke(served(entry).cli(), ["echo", "hi"])
    assert result.exit_code == 0
    assert capfd.readouterr().out == "hi\n"
