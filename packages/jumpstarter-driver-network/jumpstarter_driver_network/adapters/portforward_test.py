"""Port forwards between plain sockets: what the local peer does reaches the target, and back."""

import json
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from jumpstarter.common.utils import serve

from jumpstarter_driver_network.adapters import TcpPortforwardAdapter, UnixPortforwardAdapter
from jumpstarter_driver_network.driver import EchoNetwork, TcpNetwork, UnixNetwork

Address = tuple[str, int]
Script = Callable[[socket.socket], bytes]
Target = Callable[[Script], tuple[Address, Future[bytes]]]

PATIENCE = 20.0
LINGER_ZERO = struct.pack("ii", 1, 0)


def receive_all(conn: socket.socket) -> bytes:
    return b"".join(iter(lambda: conn.recv(1 << 16), b""))


def reset(conn: socket.socket) -> None:
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
    conn.close()


@contextmanager
def forwarded(target: Address) -> Generator[Address]:
    with (
        serve(TcpNetwork(host=target[0], port=target[1])) as client,
        TcpPortforwardAdapter(client=client) as address,
    ):
        yield address


@contextmanager
def connected(address: Address) -> Generator[socket.socket]:
    with socket.create_connection(address, PATIENCE) as conn:
        yield conn


def test_tcp_forward_echoes(tcp_echo_server: Address) -> None:
    with forwarded(tcp_echo_server) as address, connected(address) as conn:
        conn.sendall(b"hello")
        assert conn.recv(5, socket.MSG_WAITALL) == b"hello"


def test_unix_forward_echoes(tcp_echo_server: Address) -> None:
    with (
        serve(TcpNetwork(host=tcp_echo_server[0], port=tcp_echo_server[1])) as client,
        UnixPortforwardAdapter(client=client) as path,
        socket.socket(socket.AF_UNIX) as conn,
    ):
        conn.settimeout(PATIENCE)
        conn.connect(str(path))
        conn.sendall(b"hello")
        assert conn.recv(5, socket.MSG_WAITALL) == b"hello"
    assert not Path(path).exists()


def test_unix_forward_listens_where_it_is_told(tmp_path: Path) -> None:
    wanted = str(tmp_path / "socket")
    with (
        serve(EchoNetwork()) as client,
        UnixPortforwardAdapter(client=client, path=wanted) as path,
        socket.socket(socket.AF_UNIX) as conn,
    ):
        assert path is wanted
        conn.settimeout(PATIENCE)
        conn.connect(wanted)
        conn.sendall(b"hello")
        assert conn.recv(5, socket.MSG_WAITALL) == b"hello"


def test_unix_target_is_reached_through_a_tcp_port(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        with (
            serve(UnixNetwork(path=str(tmp_path / "socket"))) as client,
            TcpPortforwardAdapter(client=client) as address,
            connected(address) as conn,
        ):
            conn.sendall(b"hello")
            target, _ = listener.accept()
            with target:
                assert target.recv(5, socket.MSG_WAITALL) == b"hello"


def test_many_bytes_arrive_in_order_both_ways(tcp_echo_server: Address) -> None:
    data = os.urandom(8 << 20)
    with (
        forwarded(tcp_echo_server) as address,
        connected(address) as conn,
        ThreadPoolExecutor() as pool,
    ):
        received = pool.submit(receive_all, conn)
        conn.sendall(data)
        conn.shutdown(socket.SHUT_WR)
        assert received.result() == data


def test_connections_do_not_mix(tcp_echo_server: Address) -> None:
    def talk(number: int) -> None:
        data = bytes([number]) * 100_000
        with connected(address) as conn, ThreadPoolExecutor() as own:
            received = own.submit(receive_all, conn)
            conn.sendall(data)
            conn.shutdown(socket.SHUT_WR)
            assert received.result() == data

    with forwarded(tcp_echo_server) as address, ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(talk, number) for number in range(64)]:
            done.result()


def test_end_of_input_reaches_the_target_and_the_answer_comes(tcp_target: Target) -> None:
    def answer(conn: socket.socket) -> bytes:
        question = receive_all(conn)
        conn.sendall(b"got " + question)
        return question

    target, _ = tcp_target(answer)
    with forwarded(target) as address, connected(address) as conn:
        conn.sendall(b"question")
        conn.shutdown(socket.SHUT_WR)
        assert receive_all(conn) == b"got question"


def test_end_of_output_leaves_the_other_direction_open(tcp_target: Target) -> None:
    def greet(conn: socket.socket) -> bytes:
        conn.sendall(b"hi")
        conn.shutdown(socket.SHUT_WR)
        return receive_all(conn)

    target, done = tcp_target(greet)
    with forwarded(target) as address, connected(address) as conn:
        assert receive_all(conn) == b"hi"
        conn.sendall(b"still here")
        conn.shutdown(socket.SHUT_WR)
        assert done.result(PATIENCE) == b"still here"


def test_refused_target_resets_the_local_connection(
    free_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        forwarded(("127.0.0.1", free_tcp_port)) as address,
        connected(address) as conn,
        pytest.raises(ConnectionResetError),
    ):
        conn.recv(1)
    [record] = [record for record in caplog.records if "cannot forward" in record.message]
    assert f"tcp://127.0.0.1:{free_tcp_port}" in record.message
    assert "\n" not in record.message
    assert record.exc_info is None


def test_missing_unix_target_resets_the_local_connection(tmp_path: Path) -> None:
    with (
        serve(UnixNetwork(path=str(tmp_path / "missing"))) as client,
        TcpPortforwardAdapter(client=client) as address,
        connected(address) as conn,
        pytest.raises(ConnectionResetError),
    ):
        conn.recv(1)


def test_reset_of_the_target_resets_the_local_connection(tcp_target: Target) -> None:
    def fail(conn: socket.socket) -> bytes:
        request = conn.recv(1)
        reset(conn)
        return request

    target, _ = tcp_target(fail)
    with forwarded(target) as address, connected(address) as conn:
        conn.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            conn.recv(1)


def see_the_end(conn: socket.socket) -> bytes:
    conn.sendall(b"x")
    try:
        return receive_all(conn)
    except ConnectionResetError:
        return b"reset"


def test_reset_of_the_local_peer_resets_the_target(tcp_target: Target) -> None:
    target, done = tcp_target(see_the_end)
    with forwarded(target) as address, connected(address) as conn:
        assert conn.recv(1) == b"x"
        reset(conn)
        assert done.result(PATIENCE) == b"reset"


def test_end_of_the_forward_closes_its_connections(tcp_target: Target) -> None:
    target, done = tcp_target(see_the_end)
    with ExitStack() as stack:
        with forwarded(target) as address:
            conn = stack.enter_context(connected(address))
            assert conn.recv(1) == b"x"
        done.result(PATIENCE)
        with suppress(ConnectionResetError):
            assert conn.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


def test_error_in_the_body_comes_out_unchanged() -> None:
    with (
        serve(EchoNetwork()) as client,
        pytest.raises(ZeroDivisionError),
        TcpPortforwardAdapter(client=client),
    ):
        raise ZeroDivisionError


def test_port_in_use_is_an_error() -> None:
    with (
        serve(EchoNetwork()) as client,
        TcpPortforwardAdapter(client=client) as (host, port),
        pytest.raises(OSError, match=f"tcp://{host}:{port}"),
        TcpPortforwardAdapter(client=client, local_host=host, local_port=port),
    ):
        pass


def test_port_in_use_by_another_program_is_an_error() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        serve(EchoNetwork()) as client,
        pytest.raises(OSError, match=f"tcp://127.0.0.1:{taken.getsockname()[1]}"),
        TcpPortforwardAdapter(client=client, local_port=taken.getsockname()[1]),
    ):
        pass


def test_ipv6_port(tcp_echo_server: Address) -> None:
    with (
        serve(TcpNetwork(host=tcp_echo_server[0], port=tcp_echo_server[1])) as client,
        TcpPortforwardAdapter(client=client, local_host="::1") as address,
        socket.create_connection(address[:2], PATIENCE) as conn,
    ):
        conn.sendall(b"hello")
        assert conn.recv(5, socket.MSG_WAITALL) == b"hello"


@pytest.fixture
def iperf3_server(program: Callable[[str, str], str], free_tcp_port: int) -> Generator[Address]:
    command = [program("iperf3", "iperf3"), "--server", "--forceflush", "--port"]
    with subprocess.Popen(
        [*command, str(free_tcp_port)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            while "Server listening" not in (line := server.stdout.readline()):
                assert line, "iperf3 has ended"
            yield "127.0.0.1", free_tcp_port
        finally:
            server.terminate()


@pytest.mark.parametrize("direction", [[], ["--reverse"], ["--parallel", "8"]])
def test_iperf3_transfers_through_the_forward(
    direction: list[str], iperf3_server: Address, program: Callable[[str, str], str]
) -> None:
    size = 16 << 20
    with forwarded(iperf3_server) as (host, port):
        done = subprocess.run(
            [
                *[program("iperf3", "iperf3"), "--client", host, "--port", str(port), "--json"],
                *["--bytes", str(size), *direction],
            ],
            capture_output=True,
            timeout=50,
            check=True,
        )
    end = json.loads(done.stdout)["end"]
    assert end["sum_sent"]["bytes"] >= size
    # The receiver stops counting when it is told of the end, ahead of what is still on its way.
    assert 0 < end["sum_received"]["bytes"] <= end["sum_sent"]["bytes"]
