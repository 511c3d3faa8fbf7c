"""Messages on a socket of calls, whole or not."""

import socket
import threading

import pytest

from jumpstarter.rpc.call_socket import OK, receive


def test_a_message_may_come_in_pieces():
    here, there = socket.socketpair()
    with here, there:
        sender = threading.Thread(
            target=lambda: [there.sendall(b"%c" % byte) for byte in b"\x00\x00\x00\x00\x03abc"]
        )
        sender.start()
        assert receive(here) == (OK, b"abc")
        sender.join()


@pytest.mark.parametrize("data", [b"", b"\x00\x00", b"\x00\x00\x00\x00\x03ab"])
def test_an_end_is_no_message(data: bytes):
    here, there = socket.socketpair()
    with here:
        with there:
            there.sendall(data)
        assert receive(here) is None
