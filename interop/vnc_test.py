"""vnc: a session through the WebSocket that noVNC in a browser would open."""

import socket
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.sync.client import connect

from .conftest import Clients, Offers, Served

VERSION = b"RFB 003.008\n"
"""The first message of either side of the protocol."""


@pytest.fixture
def screen() -> Iterator[socket.socket]:
    """A listener in the place of a VNC server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        yield listener


def entry(port: int) -> str:
    return f"""
type: jumpstarter_driver_vnc.driver.Vnc
config: {{default_encrypt: false}}
children:
  tcp:
    type: jumpstarter_driver_network.driver.TcpNetwork
    config: {{host: 127.0.0.1, port: {port}}}
"""


def test_import(offers: Offers):
    assert offers("jumpstarter-driver-vnc") == {"vnc"}


def test_build_with_a_network(clients: Clients):
    assert clients(entry(5901)) == {
        "": "jumpstarter_driver_vnc.client.VNClient",
        "tcp": "jumpstarter_driver_network.client.NetworkClient",
    }


def test_call_session_carries_both_directions(served: Served, screen: socket.socket):
    client = served(entry(screen.getsockname()[1]))
    with client.session(encrypt=client.get_default_encrypt()) as url:
        wanted = parse_qs(urlsplit(str(url)).query)
        assert wanted["encrypt"] == ["0"]
        with connect(f"ws://{wanted['host'][0]}:{wanted['port'][0]}") as browser:
            server, _ = screen.accept()
            with server:
                server.sendall(VERSION)
                assert browser.recv(20) == VERSION
                browser.send(VERSION)
                assert server.recv(len(VERSION)) == VERSION
