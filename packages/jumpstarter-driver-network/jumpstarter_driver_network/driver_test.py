"""Each driver through a real exporter: what a client sends and receives, and how things fail."""

import os
import re
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import websockets
from anyio import BrokenResourceError, EndOfStream
from jumpstarter.client import DriverClient
from jumpstarter.client.core import DriverError, DriverMethodNotImplemented
from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver
from jumpstarter.streams.blocking import BlockingStream
from pydantic import ValidationError
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as websockets_serve

from jumpstarter_driver_network.driver import (
    DbusNetwork,
    EchoNetwork,
    TcpNetwork,
    UdpNetwork,
    UnixNetwork,
    VsockNetwork,
    WebsocketNetwork,
)

Address = tuple[str, int]
Script = Callable[[socket.socket], bytes]
Target = Callable[[Script], tuple[Address, Future[bytes]]]

PATIENCE = 20.0
LINGER_ZERO = struct.pack("ii", 1, 0)


def receive_exactly(stream: BlockingStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += stream.receive()
    return data


def receive_all(conn: socket.socket) -> bytes:
    return b"".join(iter(lambda: conn.recv(1 << 16), b""))


def send_until_it_fails(stream: BlockingStream) -> None:
    while True:
        stream.send(b"x")


def test_tcp_carries_bytes_both_ways(tcp_echo_server: Address) -> None:
    host, port = tcp_echo_server
    with serve(TcpNetwork(host=host, port=port)) as client, client.stream() as stream:
        stream.send(b"hello")
        assert receive_exactly(stream, 5) == b"hello"


def test_tcp_opens_a_connection_per_stream(tcp_echo_server: Address) -> None:
    host, port = tcp_echo_server
    with (
        serve(TcpNetwork(host=host, port=port)) as client,
        client.stream() as one,
        client.stream() as other,
    ):
        one.send(b"one")
        other.send(b"other")
        assert receive_exactly(one, 3) == b"one"
        assert receive_exactly(other, 5) == b"other"


def test_send_larger_than_a_message_arrives_whole(tcp_target: Target) -> None:
    data = os.urandom(6 << 20)
    (host, port), done = tcp_target(receive_all)
    with serve(TcpNetwork(host=host, port=port)) as client, client.stream() as stream:
        stream.send(data)
        stream.send_eof()
        with pytest.raises(EndOfStream):
            stream.receive()
    assert done.result(PATIENCE) == data


def test_end_of_input_reaches_the_target_and_answers_still_come(tcp_target: Target) -> None:
    def answer(conn: socket.socket) -> bytes:
        question = receive_all(conn)
        conn.sendall(b"got " + question)
        return question

    (host, port), _ = tcp_target(answer)
    with serve(TcpNetwork(host=host, port=port)) as client, client.stream() as stream:
        stream.send(b"question")
        stream.send_eof()
        assert receive_exactly(stream, 12) == b"got question"
        with pytest.raises(EndOfStream):
            stream.receive()


def test_end_of_output_leaves_sending_open(tcp_target: Target) -> None:
    def greet(conn: socket.socket) -> bytes:
        conn.sendall(b"hi")
        conn.shutdown(socket.SHUT_WR)
        return receive_all(conn)

    (host, port), done = tcp_target(greet)
    with serve(TcpNetwork(host=host, port=port)) as client, client.stream() as stream:
        assert receive_exactly(stream, 2) == b"hi"
        with pytest.raises(EndOfStream):
            stream.receive()
        stream.send(b"still here")
    assert done.result(PATIENCE) == b"still here"


def test_reset_of_the_target_breaks_the_stream(tcp_target: Target) -> None:
    def reset(conn: socket.socket) -> bytes:
        request = conn.recv(1)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        return request

    (host, port), _ = tcp_target(reset)
    with (
        serve(TcpNetwork(host=host, port=port)) as client,
        client.stream() as stream,
    ):
        stream.send(b"x")
        with pytest.raises(BrokenResourceError):
            stream.receive()


def test_send_after_the_target_has_left_fails(tcp_target: Target) -> None:
    (host, port), _ = tcp_target(lambda _: b"")
    with serve(TcpNetwork(host=host, port=port)) as client, client.stream() as stream:
        with pytest.raises(EndOfStream):
            stream.receive()
        with pytest.raises(BrokenResourceError):
            send_until_it_fails(stream)


def test_refused_tcp_connection_names_the_target(free_tcp_port: int) -> None:
    with (
        serve(TcpNetwork(host="127.0.0.1", port=free_tcp_port)) as client,
        pytest.raises(DriverError, match=f"tcp://127.0.0.1:{free_tcp_port}.*refused"),
        client.stream(),
    ):
        pass


def test_unknown_host_is_named() -> None:
    with (
        serve(TcpNetwork(host="no-such-host.invalid", port=1)) as client,
        pytest.raises(DriverError, match=re.escape("tcp://no-such-host.invalid:1")),
        client.stream(),
    ):
        pass


def test_closing_the_stream_closes_the_connection(tcp_target: Target) -> None:
    (host, port), done = tcp_target(receive_all)
    with serve(TcpNetwork(host=host, port=port)) as client, client.stream() as stream:
        stream.send(b"bye")
    assert done.result(PATIENCE) == b"bye"


@pytest.mark.parametrize(
    ("driver", "address"),
    [
        (TcpNetwork(host="127.0.0.1", port=80), "tcp://127.0.0.1:80"),
        (TcpNetwork(host="::1", port=80), "tcp://[::1]:80"),
        (TcpNetwork(host="2001:db8::1", port=443), "tcp://[2001:db8::1]:443"),
        (TcpNetwork(host="no-such-host.invalid", port=1), "tcp://no-such-host.invalid:1"),
        (TcpNetwork(host="x" * 300, port=1), f"tcp://{'x' * 300}:1"),
        (UdpNetwork(host="127.0.0.1", port=53), "udp://127.0.0.1:53"),
        (UdpNetwork(host="::1", port=53), "udp://[::1]:53"),
        (WebsocketNetwork(url="ws://127.0.0.1:80/a"), "ws://127.0.0.1:80/a"),
    ],
)
def test_address(driver: Driver, address: str) -> None:
    with serve(driver) as client:
        assert client.call("address") == address


def test_address_resolves_a_name() -> None:
    with serve(TcpNetwork(host="localhost", port=80)) as client:
        assert client.call("address") in ("tcp://127.0.0.1:80", "tcp://[::1]:80")


@pytest.mark.parametrize(
    "driver",
    [
        TcpNetwork(host="127.0.0.1", port=80, enable_address=False),
        UdpNetwork(host="127.0.0.1", port=80, enable_address=False),
        WebsocketNetwork(url="ws://127.0.0.1", enable_address=False),
    ],
)
def test_disabled_address_is_refused(driver: Driver) -> None:
    with serve(driver) as client, pytest.raises(ValueError, match="enable_address"):
        client.call("address")


def test_driver_without_address_says_so() -> None:
    with serve(EchoNetwork()) as client, pytest.raises(DriverMethodNotImplemented):
        client.call("address")


def test_udp_keeps_the_boundaries_of_datagrams() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target:
        target.bind(("127.0.0.1", 0))
        target.settimeout(10)
        host, port = target.getsockname()
        with serve(UdpNetwork(host=host, port=port)) as client, client.stream() as stream:
            for datagram in (b"one", b"x" * 40_000, b"three"):
                stream.send(datagram)
                received, peer = target.recvfrom(65535)
                assert received == datagram
                target.sendto(datagram, peer)
                target.sendto(b"and more", peer)
                assert stream.receive() == datagram
                assert stream.receive() == b"and more"


def test_udp_port_that_refuses_breaks_the_stream(free_udp_port: int) -> None:
    with (
        serve(UdpNetwork(host="127.0.0.1", port=free_udp_port)) as client,
        client.stream() as stream,
    ):
        stream.send(b"x")
        with pytest.raises(BrokenResourceError):
            stream.receive()


def test_unix_carries_bytes_both_ways(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with serve(UnixNetwork(path=path)) as client, client.stream() as stream:
            conn, _ = listener.accept()
            with conn:
                conn.settimeout(10)
                stream.send(b"hello")
                assert conn.recv(5) == b"hello"
                conn.sendall(b"world")
                assert receive_exactly(stream, 5) == b"world"


def test_missing_unix_socket_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing"
    with (
        serve(UnixNetwork(path=str(path))) as client,
        pytest.raises(DriverError, match=re.escape(f"unix:{path}")),
        client.stream(),
    ):
        pass


def test_echo_returns_what_it_gets_and_then_the_end() -> None:
    with serve(EchoNetwork()) as client, client.stream() as stream:
        stream.send(b"hello")
        assert stream.receive() == b"hello"
        stream.send_eof()
        with pytest.raises(EndOfStream):
            stream.receive()


def test_vsock_without_a_listener_names_the_target() -> None:
    # The machine's own context (VMADDR_CID_LOCAL): refused, timed out or unknown to the kernel,
    # depending on where this runs.
    with (
        serve(VsockNetwork(cid=1, port=50_505)) as client,
        pytest.raises(DriverError, match=r"vsock connect\(\) failed: .*"),
        client.stream(),
    ):
        pass


@pytest.mark.skipif(
    not Path("/sys/module/vsock_loopback").exists(), reason="this kernel has no vsock loopback"
)
def test_vsock_carries_bytes_both_ways() -> None:
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as listener:
        listener.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
        listener.listen()
        port = listener.getsockname()[1]
        with serve(VsockNetwork(cid=1, port=port)) as client, client.stream() as stream:
            conn, _ = listener.accept()
            with conn:
                stream.send(b"hello")
                assert conn.recv(5) == b"hello"
                conn.sendall(b"world")
                assert receive_exactly(stream, 5) == b"world"


@pytest.fixture
def websocket_echo_server() -> Iterator[str]:
    def echo(conn: ServerConnection) -> None:
        for message in conn:
            conn.send(message)

    with ThreadPoolExecutor() as pool, websockets_serve(echo, "127.0.0.1", 0) as server:
        serving = pool.submit(server.serve_forever)
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/path?query"
        server.shutdown()
        serving.result(PATIENCE)


def test_websocket_against_a_real_server(websocket_echo_server: str) -> None:
    with serve(WebsocketNetwork(url=websocket_echo_server)) as client, client.stream() as stream:
        for item in (b"hello", bytes(range(256)), b"x" * 500_000):
            stream.send(item)
            assert receive_exactly(stream, len(item)) == item


def test_websocket_connects_to_exactly_its_url(
    websocket_echo_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[object, ...]] = []
    connect = websockets.connect

    def record(*args: str, **kwargs: object) -> websockets.connect:
        seen.append((args, kwargs))
        return connect(*args)

    monkeypatch.setattr("websockets.connect", record)
    with serve(WebsocketNetwork(url=websocket_echo_server)) as client, client.stream():
        pass
    assert seen == [((websocket_echo_server,), {})]


def test_refused_websocket_names_the_url(free_tcp_port: int) -> None:
    url = f"ws://127.0.0.1:{free_tcp_port}"
    with (
        serve(WebsocketNetwork(url=url)) as client,
        pytest.raises(DriverError, match=f"cannot open {url}"),
        client.stream(),
    ):
        pass


def test_dbus_kind_and_client_are_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    report = DbusNetwork(kind="session").report()
    assert report.labels[DbusNetwork.KIND_LABEL] == "session"
    assert report.labels["jumpstarter.dev/client"].endswith("client.DbusNetworkClient")


@pytest.mark.parametrize("address", ["unix:abstract=x", "tcp:host=localhost", "launchd:x=y"])
def test_dbus_address_that_cannot_be_used_fails_at_construction(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    with pytest.raises(ValueError, match="D-Bus address"):
        DbusNetwork(kind="system")


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: TcpNetwork(host="h", port="http"), "port"),  # pyright: ignore[reportArgumentType] - the mistake under test
        (lambda: TcpNetwork(host="h", port=70_000), "port"),
        (lambda: TcpNetwork(port=1), "host"),  # pyright: ignore[reportCallIssue] - the mistake under test
        (lambda: UdpNetwork(host="h", port=0), "port"),
        (lambda: UnixNetwork(path="/x", enable_address=True), "enable_address"),  # pyright: ignore[reportCallIssue] - the mistake under test
        (lambda: EchoNetwork(host="h"), "host"),  # pyright: ignore[reportCallIssue] - the mistake under test
        (lambda: DbusNetwork(kind="user"), "kind"),  # pyright: ignore[reportArgumentType] - the mistake under test
        (lambda: VsockNetwork(cid=-1, port=1), "cid"),
    ],
)
def test_wrong_configuration_names_the_key(make: Callable[[], Driver], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        make()


def test_client_class_is_resolved() -> None:
    with serve(EchoNetwork()) as client:
        assert isinstance(client, DriverClient)
        assert type(client).__name__ == "NetworkClient"
