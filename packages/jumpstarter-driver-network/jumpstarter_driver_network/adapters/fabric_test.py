"""Fabric against a real SSH server with keys of its own, reached through the adapter."""

import os
import socket
import subprocess
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, cast

import pytest
from jumpstarter.client import DriverClient
from jumpstarter.common.utils import serve

from jumpstarter_driver_network.adapters import FabricAdapter
from jumpstarter_driver_network.driver import EchoNetwork, TcpNetwork

Address = tuple[str, int]
Program = Callable[[str, str], str]


class Result(Protocol):
    stdout: str
    stderr: str
    exited: int


class Shell(Protocol):
    """What is used of a fabric.Connection, which has no annotations."""

    host: str
    port: int
    user: str
    forward_agent: bool
    connect_timeout: int
    connect_kwargs: Mapping[str, str]
    inline_ssh_env: bool
    is_connected: bool

    def run(self, command: str, **options: bool) -> Result: ...
    def put(self, local: str, remote: str) -> object: ...
    def get(self, remote: str, local: str) -> object: ...


@contextmanager
def connect(client: DriverClient, **parameters: object) -> Generator[Shell]:
    adapter = cast("Callable[..., AbstractContextManager[Shell]]", FabricAdapter)
    with adapter(client=client, **parameters) as connection:
        yield connection


def make_key(path: Path, keygen: str) -> Path:
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.fixture
def user_key(tmp_path: Path, program: Program) -> Path:
    return make_key(tmp_path / "user", program("ssh-keygen", "openssh-client"))


@pytest.fixture
def ssh_server(
    tmp_path: Path, user_key: Path, program: Program, free_tcp_port: int
) -> Generator[Address]:
    """An SSH server for the user who runs the tests."""
    host_key = make_key(tmp_path / "host", program("ssh-keygen", "openssh-client"))
    authorized = tmp_path / "authorized_keys"
    authorized.write_bytes(user_key.with_suffix(".pub").read_bytes())
    options = {
        "ListenAddress": f"127.0.0.1:{free_tcp_port}",
        "HostKey": host_key,
        "AuthorizedKeysFile": authorized,
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "Subsystem": "sftp internal-sftp",
    }
    configuration = tmp_path / "sshd_config"
    configuration.write_text("".join(f"{key} {value}\n" for key, value in options.items()))
    # sshd wants this directory when it runs as root.
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    command = [program("sshd", "openssh-server"), "-D", "-e", "-f", str(configuration)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            while "Server listening" not in (line := server.stderr.readline()):
                assert line, "sshd has ended"
            yield "127.0.0.1", free_tcp_port
        finally:
            server.terminate()


def test_commands_and_files(ssh_server: Address, user_key: Path, tmp_path: Path) -> None:
    host, port = ssh_server
    local, remote, back = tmp_path / "local", tmp_path / "remote", tmp_path / "back"
    local.write_bytes(os.urandom(300_000))
    with (
        serve(TcpNetwork(host=host, port=port)) as client,
        connect(
            client,
            user=os.environ.get("USER", "root"),
            connect_timeout=20,
            connect_kwargs={"key_filename": str(user_key), "allow_agent": False},
        ) as connection,
    ):
        result = connection.run(
            "echo out; echo err >&2; exit 3", hide=True, warn=True, in_stream=False
        )
        assert (result.stdout, result.stderr, result.exited) == ("out\n", "err\n", 3)
        connection.put(str(local), str(remote))
        assert remote.read_bytes() == local.read_bytes()
        connection.get(str(remote), str(back))
        assert back.read_bytes() == local.read_bytes()
        assert connection.is_connected
    assert not connection.is_connected


def test_parameters_reach_the_connection() -> None:
    with (
        serve(EchoNetwork()) as client,
        connect(
            client,
            user="somebody",
            forward_agent=True,
            connect_timeout=7,
            connect_kwargs={"password": "x"},
            inline_ssh_env=False,
        ) as connection,
    ):
        assert connection.host == "127.0.0.1"
        assert connection.user == "somebody"
        assert connection.forward_agent is True
        assert connection.connect_timeout == 7
        assert connection.connect_kwargs == {"password": "x"}
        assert connection.inline_ssh_env is False
        socket.create_connection((connection.host, connection.port)).close()
