"""What is said about a port that cannot be bound."""

import errno
import os
import socket

import pytest

from jumpstarter_driver_tftp.binding import explain


def failed(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "host", "begin", "end"),
    [
        pytest.param(
            failed(errno.EADDRINUSE),
            "192.0.2.1",
            "TFTP cannot listen on udp://192.0.2.1:69: the port is in use",
            "set another 'port'",
            id="in use",
        ),
        pytest.param(
            failed(errno.EACCES),
            "::1",
            "TFTP cannot listen on udp://[::1]:69: not permitted; a port below 1024",
            "set 'port' to 1024 or more",
            id="not permitted",
        ),
        pytest.param(
            failed(errno.EADDRNOTAVAIL),
            "192.0.2.1",
            "TFTP cannot listen on udp://192.0.2.1:69: no network interface",
            "to have the address found",
            id="not our address",
        ),
        pytest.param(
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "nowhere",
            "TFTP cannot listen on udp://nowhere:69: the host is not known (Name or service",
            "correct 'host'",
            id="unknown host",
        ),
        pytest.param(
            failed(errno.ENOBUFS),
            "192.0.2.1",
            "TFTP cannot listen on udp://192.0.2.1:69: No buffer space",
            "available",
            id="anything else",
        ),
    ],
)
def test_one_line_says_what_where_and_what_to_do(error: OSError, host: str, begin: str, end: str):
    text = explain(error, host, 69)
    assert text.startswith(begin)
    assert text.endswith(end)
    assert "\n" not in text
