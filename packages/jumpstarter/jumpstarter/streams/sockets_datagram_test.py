"""Datagram streams against plain sockets."""

import errno
import socket

import anyio
import pytest
from anyio.lowlevel import checkpoint

from jumpstarter.streams.sockets import (
    DatagramStream,
    connect_udp,
)


@pytest.fixture
def udp_peer():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


async def test_datagrams_keep_their_boundaries_and_may_be_empty(udp_peer: socket.socket):
    async with await connect_udp(*udp_peer.getsockname()) as stream:
        for item in (b"one", b"", b"three"):
            await stream.send(item)
        got = [udp_peer.recvfrom(100) for _ in range(3)]
        assert [data for data, _ in got] == [b"one", b"", b"three"]
        for item in (b"", b"answer"):
            udp_peer.sendto(item, got[0][1])
        assert [await stream.receive(), await stream.receive()] == [b"", b"answer"]


async def test_datagram_eof_sends_nothing(udp_peer: socket.socket):
    async with await connect_udp(*udp_peer.getsockname()) as stream:
        await stream.send_eof()
        await stream.send(b"after")
        assert udp_peer.recv(100) == b"after"


async def test_refused_datagram_is_broken_and_the_stream_goes_on(udp_peer: socket.socket):
    address = udp_peer.getsockname()
    udp_peer.close()
    async with await connect_udp(*address) as stream:
        await stream.send(b"to nobody")
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as revived:
            revived.bind(address)
            await stream.send(b"again")
            assert revived.recv(100) == b"again"


async def test_datagram_too_large_is_refused(udp_peer: socket.socket):
    async with await connect_udp(*udp_peer.getsockname()) as stream:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number below is the match
            await stream.send(bytes(70_000))
        assert caught.value.errno == errno.EMSGSIZE


async def test_closing_a_datagram_stream_wakes_its_receiver(udp_peer: socket.socket):
    stream: DatagramStream = await connect_udp(*udp_peer.getsockname())
    async with anyio.create_task_group() as tasks:

        async def wait() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await stream.receive()

        tasks.start_soon(wait)
        await checkpoint()
        await stream.aclose()
    with pytest.raises(anyio.ClosedResourceError):
        await stream.send_eof()
