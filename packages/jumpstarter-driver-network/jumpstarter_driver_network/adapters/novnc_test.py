"""The page's WebSocket, spoken by a real client, down to a target that speaks like VNC."""

import socket
from collections.abc import Callable
from concurrent.futures import Future
from urllib.parse import parse_qs, urlsplit

import pytest
from jumpstarter.common.utils import serve
from websockets import ConnectionClosedOK, Subprotocol, WebSocketException
from websockets.sync.client import connect

from jumpstarter_driver_network.adapters import NovncAdapter
from jumpstarter_driver_network.driver import TcpNetwork

Address = tuple[str, int]
Script = Callable[[socket.socket], bytes]
Target = Callable[[Script], tuple[Address, Future[bytes]]]


def socket_url(page: str) -> str:
    query = parse_qs(urlsplit(page).query)
    return f"ws://{query['host'][0]}:{query['port'][0]}"


def greet(conn: socket.socket) -> bytes:
    conn.sendall(b"RFB 003.008\n")
    version = conn.recv(12, socket.MSG_WAITALL)
    conn.sendall(b"\x01\x01")
    return version + b"".join(iter(lambda: conn.recv(100), b""))


@pytest.mark.parametrize(("encrypt", "digit"), [(True, 1), (False, 0)])
def test_page_url(encrypt: bool, digit: int, tcp_echo_server: Address) -> None:
    with (
        serve(TcpNetwork(host=tcp_echo_server[0], port=tcp_echo_server[1])) as client,
        NovncAdapter(client=client, encrypt=encrypt) as page,
    ):
        beginning = f"https://novnc.com/noVNC/vnc.html?encrypt={digit}&autoconnect=1&reconnect=1"
        assert page.startswith(f"{beginning}&host=127.0.0.1&port=")


def test_target_that_speaks_first_is_heard(tcp_target: Target) -> None:
    (host, port), done = tcp_target(greet)
    with (
        serve(TcpNetwork(host=host, port=port)) as client,
        NovncAdapter(client=client) as page,
        connect(socket_url(page), subprotocols=[Subprotocol("binary")]) as browser,
    ):
        assert browser.subprotocol == "binary"
        assert browser.recv(20) == b"RFB 003.008\n"
        browser.send(b"RFB 003.003\n")
        assert browser.recv(20) == b"\x01\x01"
        browser.close()
        assert done.result(20) == b"RFB 003.003\n"


def test_end_of_the_target_closes_the_websocket(tcp_target: Target) -> None:
    (host, port), _ = tcp_target(lambda conn: conn.sendall(b"bye") or b"")
    with (
        serve(TcpNetwork(host=host, port=port)) as client,
        NovncAdapter(client=client) as page,
        connect(socket_url(page)) as browser,
    ):
        assert browser.recv(20) == b"bye"
        with pytest.raises(ConnectionClosedOK):
            browser.recv(20)


def test_refusing_target_fails_the_handshake(free_tcp_port: int) -> None:
    with (
        serve(TcpNetwork(host="127.0.0.1", port=free_tcp_port)) as client,
        NovncAdapter(client=client) as page,
        pytest.raises((WebSocketException, OSError)),
        connect(socket_url(page)),
    ):
        pass
