from pathlib import Path

import pytest

from .addresses import Address
from .listener import Certificate, Listener

CERTIFICATE = Certificate(Path("cert.pem"), Path("key.pem"))
LOOPBACK = Address("127.0.0.1", 0)
NETWORK = Address("10.0.0.1", 0)


@pytest.mark.parametrize(
    ("listener", "line"),
    [
        (Listener(LOOPBACK, None, None), "Listening on 127.0.0.1:82 (no TLS, no passphrase)"),
        (Listener(NETWORK, CERTIFICATE, "x"), "Listening on 10.0.0.1:82 (TLS, passphrase)"),
    ],
)
def test_line_tells_the_bound_port_and_the_protection(listener: Listener, line: str):
    assert listener.describe(82) == line


@pytest.mark.parametrize(
    ("listener", "danger"),
    [
        (Listener(LOOPBACK, None, None), None),
        (Listener(NETWORK, CERTIFICATE, "x"), None),
        (Listener(NETWORK, CERTIFICATE, None), "everyone"),
        (Listener(NETWORK, None, None), "everyone"),
        (Listener(NETWORK, None, "x"), "in the clear"),
    ],
)
def test_what_a_network_makes_dangerous_is_told(listener: Listener, danger: str | None):
    told = listener.danger()
    assert (told is None) if danger is None else (told is not None and danger in told)
