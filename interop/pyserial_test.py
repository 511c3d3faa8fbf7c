"""pyserial: an echo, a device, and the command that writes to it."""

import socket
from queue import SimpleQueue

import pytest
from click.testing import CliRunner
from jumpstarter.common.exceptions import ConfigurationError

from .conftest import Clients, Device, Offers, Served

TYPE = "type: jumpstarter_driver_pyserial.driver.PySerial"
LOOP = f"""
{TYPE}
config: {{url: "loop://", cps: 10000}}
"""


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-pyserial") == {"PySerial"}


def test_build_with_a_url(clients: Clients):
    assert clients(LOOP) == {"": "jumpstarter_driver_pyserial.client.PySerialClient"}


def test_build_says_that_the_device_is_missing(clients: Clients):
    with pytest.raises(ConfigurationError, match="/dev/no-such-device"):
        clients(f"{TYPE}\nconfig: {{url: /dev/no-such-device}}")


def test_call_stream_echoes(served: Served):
    with served(LOOP).stream() as stream:
        stream.send(b"hello")
        answer = b""
        while len(answer) < len(b"hello"):
            answer += stream.receive()
    assert answer == b"hello"


def test_call_pexpect_sees_the_echo(served: Served):
    with served(LOOP).pexpect() as session:
        session.sendline("Hello, world!")
        assert session.expect_exact("Hello, world!", timeout=10) == 0


def test_call_device_answers(served: Served, device: Device):
    client = served(f"{TYPE}\nconfig: {{url: {device(bytes.upper)}, baudrate: 9600}}")
    session = client.open()
    session.send("shout")
    assert session.expect_exact("SHOUT", timeout=10) == 0


def test_call_reaches_a_device_across_a_network(served: Served):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"socket://127.0.0.1:{listener.getsockname()[1]}"
        client = served(f'{TYPE}\nconfig: {{url: "{url}", check_present: false}}')
        with client.stream() as stream:
            connection, _ = listener.accept()
            with connection:
                stream.send(b"ping")
                assert connection.recv(4) == b"ping"


def test_call_command_writes_to_the_device(served: Served, device: Device):
    received: SimpleQueue[bytes] = SimpleQueue()

    def swallow(data: bytes) -> bytes:
        received.put(data)
        return b""

    client = served(f"{TYPE}\nconfig: {{url: {device(swallow)}}}")
    result = CliRunner().invoke(client.cli(), ["pipe", "--no-output"], input="reboot\n")
    assert result.exit_code == 0, result.output
    assert received.get(timeout=10) == b"reboot\n"
