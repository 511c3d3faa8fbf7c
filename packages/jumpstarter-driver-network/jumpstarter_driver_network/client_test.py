"""The command line of a client, and what importing it costs."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver

from jumpstarter_driver_network.client import (
    NetworkClient,
    _parse_address,  # pyright: ignore[reportPrivateUsage] - packages of others import it
    _strip_scheme,  # pyright: ignore[reportPrivateUsage] - packages of others import it
)
from jumpstarter_driver_network.driver import EchoNetwork, TcpNetwork, UdpNetwork, WebsocketNetwork

PATIENCE = 20.0

# What `j` does inside a shell, with one driver and no shell.
COMMAND = """
import sys
from jumpstarter.common.utils import serve
from jumpstarter_driver_network.driver import EchoNetwork
with serve(EchoNetwork()) as client:
    client.cli()(sys.argv[1:])
"""


@contextmanager
def command(*arguments: str) -> Generator[str]:
    """Run a command that does not end by itself, yield what it prints, and interrupt it."""
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) != 0


def echoed(sock: socket.socket) -> bytes:
    sock.settimeout(PATIENCE)
    sock.send(b"hello")
    return sock.recv(5)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_forward_tcp_prints_its_address_and_forwards(host: str) -> None:
    with command("forward-tcp", "--address", host, "0") as address:
        local, _, port = address.rpartition(":")
        assert local == "127.0.0.1"
        with socket.create_connection((local, int(port))) as sock:
            assert echoed(sock) == b"hello"


def test_forward_tcp_brackets_ipv6() -> None:
    with command("forward-tcp", "--address", "::1", "0") as address:
        local, _, port = address.rpartition(":")
        assert local == "[::1]"
        with socket.create_connection(("::1", int(port))) as sock:
            assert echoed(sock) == b"hello"


def test_forward_udp_prints_its_address_and_forwards() -> None:
    with command("forward-udp", "--address", "127.0.0.1") as address:
        local, _, port = address.rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((local, int(port)))
            assert echoed(sock) == b"hello"


@pytest.mark.parametrize("named", [True, False])
def test_forward_unix_prints_its_path_and_forwards(named: bool, tmp_path: Path) -> None:
    wanted = str(tmp_path / "socket")
    with command("forward-unix", *([wanted] if named else [])) as path:
        assert path == wanted or not named
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            assert echoed(sock) == b"hello"
    assert not Path(path).exists()


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_port_in_use_is_one_line(kind: str) -> None:
    family = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, family) as taken, serve(EchoNetwork()) as client:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        if kind == "tcp":
            taken.listen()
        assert isinstance(client, NetworkClient)
        result = CliRunner().invoke(
            client.cli(), [f"forward-{kind}", "--address", "127.0.0.1", str(port)]
        )
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert f"{kind}://127.0.0.1:{port}" in result.output


@pytest.mark.parametrize("arguments", [["forward-tcp", "70000"], ["forward-udp", "http"]])
def test_impossible_port_is_refused(arguments: list[str]) -> None:
    with serve(EchoNetwork()) as client:
        assert isinstance(client, NetworkClient)
        result = CliRunner().invoke(client.cli(), arguments)
    assert result.exit_code == 2
    assert arguments[1] in result.output


@pytest.mark.parametrize(
    ("driver", "flags", "output"),
    [
        (TcpNetwork(host="127.0.0.1", port=80), [], "127.0.0.1:80"),
        (TcpNetwork(host="127.0.0.1", port=80), ["--host"], "127.0.0.1"),
        (TcpNetwork(host="127.0.0.1", port=80), ["--port"], "80"),
        (TcpNetwork(host="127.0.0.1", port=80), ["--host", "--port"], "127.0.0.1:80"),
        (TcpNetwork(host="::1", port=80), [], "[::1]:80"),
        (TcpNetwork(host="::1", port=80), ["--host"], "::1"),
        (UdpNetwork(host="2001:db8::1", port=53), ["--port"], "53"),
        (WebsocketNetwork(url="ws://h/path"), [], "h/path"),
        (WebsocketNetwork(url="ws://h/path"), ["--port"], "80"),
    ],
)
def test_address_command(driver: Driver, flags: list[str], output: str) -> None:
    with serve(driver) as client:
        assert isinstance(client, NetworkClient)
        result = CliRunner().invoke(client.cli(), ["address", *flags])
    assert (result.output, result.exit_code) == (f"{output}\n", 0)


@pytest.mark.parametrize(
    ("driver", "message"),
    [
        (
            TcpNetwork(host="127.0.0.1", port=80, enable_address=False),
            "enable_address mode is not true in the exporter configuration",
        ),
        (EchoNetwork(), "0.7.1 or later"),
    ],
)
def test_address_that_cannot_be_had_is_one_line(driver: Driver, message: str) -> None:
    with serve(driver) as client:
        assert isinstance(client, NetworkClient)
        result = CliRunner().invoke(client.cli(), ["address"])
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert message in result.output


def test_configuration_describes_the_commands() -> None:
    driver = EchoNetwork(
        description="The echo of the lab.", methods_description={"forward-tcp": "Shout here."}
    )
    with serve(driver) as client:
        assert isinstance(client, NetworkClient)
        result = CliRunner().invoke(client.cli(), ["--help"])
    assert "The echo of the lab." in result.output
    assert "Shout here." in result.output
    assert all(name in result.output for name in ("forward-udp", "forward-unix", "address"))


def test_names_that_packages_of_others_import() -> None:
    assert _parse_address("tcp://[::1]:80") == ("::1", "80")
    assert _strip_scheme("tcp://[::1]:80") == "[::1]:80"


def test_importing_the_client_imports_no_driver_adapter_or_library() -> None:
    program = (
        "import sys, jumpstarter_driver_network.client\n"
        "heavy = {'fabric', 'paramiko', 'pexpect', 'websockets', 'wsproto', 'jumpstarter.driver'}\n"
        "own = {n for n in sys.modules if n.startswith('jumpstarter_driver_network.')}\n"
        "print(sorted(heavy & sys.modules.keys()), sorted(own))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    own = ["adapters", "addresses", "buses", "client", "commands", "extras"]
    assert done.stdout == f"[] {[f'jumpstarter_driver_network.{name}' for name in own]}\n"
