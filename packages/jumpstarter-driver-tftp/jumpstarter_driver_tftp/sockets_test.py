"""Where answers come from, on every kind of address."""

import os
import socket
from pathlib import Path

import pytest

from jumpstarter_driver_tftp.conftest import Peer
from jumpstarter_driver_tftp.packet import Error
from jumpstarter_driver_tftp.server import TftpErrorCode, TftpServer
from jumpstarter_driver_tftp.sockets import Arrival, listen

NOT_FOUND = Error(TftpErrorCode.FILE_NOT_FOUND, "File not found")


@pytest.mark.parametrize("host", ["::1", "::"])
async def test_ipv6(root: Path, host: str):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0)
        peer = Peer(sock)
        async with TftpServer(host, 0, root).running() as (_, port):
            peer.server = ("::1", port)
            assert await peer.fetch(await peer.read("pxe/boot.img")) == b"in a sub-directory"
            assert peer.transfer[0] == "::1"
            answer = await peer.read("missing")
            assert answer == NOT_FOUND


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])  # noqa: S104 - this is the case
@pytest.mark.parametrize("asked", ["127.0.0.1", "127.0.0.2"])
async def test_answers_leave_from_the_address_that_was_asked(
    root: Path, peer: Peer, host: str, asked: str
):
    async with TftpServer(host, 0, root).running() as (_, port):
        peer.server = (asked, port)
        assert await peer.fetch(await peer.read("pxe/boot.img")) == b"in a sub-directory"
        assert peer.transfer[0] == asked
        assert await peer.read("missing") == NOT_FOUND
        assert peer.transfer == (asked, port)


@pytest.mark.parametrize(
    ("peer", "local"),
    [("127.0.0.1", "192.0.2.1"), ("192.0.2.256", "127.0.0.1")],
    ids=["address of others", "no address"],
)
def test_port_that_cannot_be_had_leaves_nothing_open(peer: str, local: str):
    with listen(("127.0.0.1", 0)) as listener:
        before = os.listdir("/proc/self/fd")
        with pytest.raises(OSError):  # noqa: PT011 - which it is, the system decides
            listener.channel(Arrival(b"", (peer, 1069), (local, 69)))
        assert os.listdir("/proc/self/fd") == before
