"""pexpect against a target that speaks line by line."""

import socket
from collections.abc import Callable
from concurrent.futures import Future

import pexpect
import pytest
from jumpstarter.client.core import DriverError
from jumpstarter.common.utils import serve

from jumpstarter_driver_network.adapters import PexpectAdapter
from jumpstarter_driver_network.driver import TcpNetwork

Address = tuple[str, int]
Script = Callable[[socket.socket], bytes]
Target = Callable[[Script], tuple[Address, Future[bytes]]]


def log_in(conn: socket.socket) -> bytes:
    conn.sendall(b"login: ")
    name = b""
    while not name.endswith(b"\n"):
        name += conn.recv(100)
    conn.sendall(b"welcome " + name)
    return b"".join(iter(lambda: conn.recv(100), b""))


def talk_on(conn: socket.socket) -> bytes:
    conn.sendall(b"login: " + bytes(50_000))
    return b"".join(iter(lambda: conn.recv(100), b""))


def test_what_was_sent_arrives_though_something_is_left_unread(tcp_target: Target) -> None:
    (host, port), done = tcp_target(talk_on)
    with serve(TcpNetwork(host=host, port=port)) as client:
        with PexpectAdapter(client=client) as session:
            session.expect_exact("login: ", timeout=20)
            session.sendline("reboot")
        assert done.result(20) == b"reboot\n"


def test_expect_and_send(tcp_target: Target) -> None:
    (host, port), done = tcp_target(log_in)
    with serve(TcpNetwork(host=host, port=port)) as client:
        with PexpectAdapter(client=client) as session:
            session.expect_exact("login: ", timeout=20)
            session.sendline("root")
            session.expect_exact("welcome root", timeout=20)
            session.sendline("reboot")
        # Leaving closes the connection, behind what was sent.
        assert done.result(20) == b"reboot\n"
        with pytest.raises((OSError, ValueError)):
            session.sendline("too late")


def test_target_that_cannot_be_reached_is_named(free_tcp_port: int) -> None:
    with (
        serve(TcpNetwork(host="127.0.0.1", port=free_tcp_port)) as client,
        pytest.raises(DriverError, match=f"tcp://127.0.0.1:{free_tcp_port}"),
        PexpectAdapter(client=client),
    ):
        pass


def test_end_of_the_target_is_the_end_of_file(tcp_target: Target) -> None:
    (host, port), _ = tcp_target(lambda conn: conn.sendall(b"bye") or b"")
    with (
        serve(TcpNetwork(host=host, port=port)) as client,
        PexpectAdapter(client=client) as session,
    ):
        session.expect(pexpect.EOF, timeout=20)
        assert session.before == b"bye"
