import click
import pytest

from .addresses import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("board:8082", Address("board", 8082)),
        ("127.0.0.1:1", Address("127.0.0.1", 1)),
        ("[::1]:65535", Address("::1", 65535)),
    ],
)
def test_address_is_read_and_written_alike(text: str, address: Address):
    assert parse_address(text, "--tls-grpc") == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8082", Address("127.0.0.1", 8082)),
        ("0", Address("127.0.0.1", 0)),
        ("0.0.0.0:0", Address("0.0.0.0", 0)),  # noqa: S104 - only parsed
    ],
)
def test_port_alone_is_at_the_default_host(text: str, address: Address):
    assert parse_address(text, "--listen", default_host="127.0.0.1") == address


@pytest.mark.parametrize(
    "text", ["", "board", "8082", ":8082", "board:", "board:0", "board:65536", "b:-1", "::1:80"]
)
def test_other_text_is_refused(text: str):
    with pytest.raises(
        click.UsageError, match=r"--tls-grpc: .* is no HOST:PORT with a port from 1"
    ):
        parse_address(text, "--tls-grpc")


@pytest.mark.parametrize("text", ["65536", ":80", "x"])
def test_other_text_is_refused_where_the_host_may_be_left_out(text: str):
    with pytest.raises(click.UsageError, match=r"is no \[HOST:\]PORT with a port from 0 to 65535"):
        parse_address(text, "--listen", default_host="127.0.0.1")


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True)]
    + [(host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "board")],  # noqa: S104 - a value
)
def test_only_loopback_is_local(host: str, *, is_local: bool):
    assert Address(host, 1).is_local is is_local
