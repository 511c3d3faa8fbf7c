"""Datagrams through a local UDP port to a real socket and back."""

import socket
import threading
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager

import pytest
from jumpstarter.common.utils import serve
from jumpstarter.driver import exportstream
from jumpstarter.streams.forwarding import AnyByteStream

from jumpstarter_driver_network.adapters import UdpPortforwardAdapter
from jumpstarter_driver_network.driver import EchoNetwork, UdpNetwork

Address = tuple[str, int]

PATIENCE = 20.0


@contextmanager
def udp_socket() -> Generator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.bind(("127.0.0.1", 0))
        yield sock


@pytest.fixture
def target() -> Generator[socket.socket]:
    with udp_socket() as sock:
        yield sock


@contextmanager
def forwarded(target: socket.socket) -> Generator[Address]:
    host, port = target.getsockname()
    with (
        serve(UdpNetwork(host=host, port=port)) as client,
        UdpPortforwardAdapter(client=client) as address,
    ):
        yield address


def test_datagrams_keep_their_boundaries_both_ways(target: socket.socket) -> None:
    with forwarded(target) as address, udp_socket() as local:
        for datagram in (b"one", b"", b"x" * 60_000, b"four"):
            local.sendto(datagram, address)
            received, peer = target.recvfrom(65535)
            assert received == datagram
            target.sendto(datagram, peer)
            target.sendto(b"and more", peer)
            assert local.recvfrom(65535) == (datagram, address)
            assert local.recvfrom(65535) == (b"and more", address)


def test_answers_find_the_sender_that_asked(target: socket.socket) -> None:
    with forwarded(target) as address, udp_socket() as one, udp_socket() as other:
        one.sendto(b"one", address)
        other.sendto(b"other", address)
        peers = dict(target.recvfrom(65535) for _ in range(2))
        assert len(set(peers.values())) == 2
        target.sendto(b"for other", peers[b"other"])
        target.sendto(b"for one", peers[b"one"])
        assert one.recv(65535) == b"for one"
        assert other.recv(65535) == b"for other"


def test_sender_keeps_its_stream(target: socket.socket) -> None:
    with forwarded(target) as address, udp_socket() as local:
        local.sendto(b"first", address)
        _, peer = target.recvfrom(65535)
        local.sendto(b"second", address)
        assert target.recvfrom(65535) == (b"second", peer)


class WatchedEcho(EchoNetwork):
    """An echo that tells when one of its streams has been closed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.closed = threading.Event()

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[AnyByteStream]:
        async with super().connect() as stream:
            try:
                yield stream
            finally:
                self.closed.set()


def test_quiet_sender_is_forgotten_and_begins_anew() -> None:
    driver = WatchedEcho()
    with (
        serve(driver) as client,
        UdpPortforwardAdapter(client=client, idle_timeout=1.0) as address,
        udp_socket() as local,
    ):
        local.sendto(b"first", address)
        assert local.recv(65535) == b"first"
        assert driver.closed.wait(PATIENCE)
        local.sendto(b"second", address)
        assert local.recv(65535) == b"second"


def test_refusing_target_is_tried_again(free_udp_port: int) -> None:
    with (
        serve(UdpNetwork(host="127.0.0.1", port=free_udp_port)) as client,
        UdpPortforwardAdapter(client=client) as address,
        udp_socket() as local,
    ):
        local.sendto(b"lost", address)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
            late.bind(("127.0.0.1", free_udp_port))
            late.settimeout(0.05)
            received = b""
            while received != b"found":
                local.sendto(b"found", address)
                try:
                    received = late.recv(65535)
                except TimeoutError:
                    continue


def test_many_senders_at_once(target: socket.socket) -> None:
    def answer_all() -> None:
        for _ in range(100):
            datagram, peer = target.recvfrom(65535)
            target.sendto(b"got " + datagram, peer)

    def ask(number: int) -> None:
        with udp_socket() as local:
            local.sendto(b"%d" % number, address)
            assert local.recv(65535) == b"got %d" % number

    with forwarded(target) as address, ThreadPoolExecutor(10) as pool:
        answering = pool.submit(answer_all)
        for done in [pool.submit(ask, number) for number in range(100)]:
            done.result(PATIENCE)
        answering.result(PATIENCE)


def test_port_in_use_is_an_error(target: socket.socket) -> None:
    port = target.getsockname()[1]
    with (
        serve(EchoNetwork()) as client,
        pytest.raises(OSError, match=f"udp://127.0.0.1:{port}"),
        UdpPortforwardAdapter(client=client, local_port=port),
    ):
        pass


def test_error_in_the_body_comes_out_unchanged() -> None:
    with (
        serve(EchoNetwork()) as client,
        pytest.raises(ZeroDivisionError),
        UdpPortforwardAdapter(client=client),
    ):
        raise ZeroDivisionError
