"""Channels: addresses, options, and whom a TLS channel trusts."""

import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import anyio
import grpc
import pytest
from cryptography import x509
from grpc.aio import AioRpcError, Server
from jumpstarter_protocol import router_pb2_grpc

from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.conftest import Certificate, self_signed
from jumpstarter.model import errors
from jumpstarter.rpc import channels
from jumpstarter.rpc.channels import (
    DEFAULT_OPTIONS,
    SystemTrust,
    TLSSettings,
    channel_options,
    connect,
    insecure_by_environment,
    split_target,
    tcp_target,
    translate_grpc_exceptions,
    unix_target,
)
from jumpstarter.rpc.conftest import Context, OneMethod, frames_of
from jumpstarter.rpc.servers import Bind, serve
from jumpstarter.streams.listeners import TemporaryTcpListener
from jumpstarter.streams.sockets import SocketStream

INSECURE = TLSConfigV1Alpha1(insecure=True)
GREETING = (("greeting", "hello"),)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the environment's own wishes about trust out of it."""
    for name in channels.INSECURE_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        ("host", "host", 443),
        ("host:", "host", 443),
        ("host:1", "host", 1),
        ("a-b.example.com:65535", "a-b.example.com", 65535),
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("[::1]", "::1", 443),
        ("[::1]:5", "::1", 5),
        ("[fe80::1%eth0]:1", "fe80::1%eth0", 1),
    ],
)
def test_an_address_is_split(target: str, host: str, port: int):
    assert split_target(target) == (host, port)


@pytest.mark.parametrize(
    "target",
    [
        *("", ":443", "::1", "[::1", "host:abc", "host:0", "host:-1", "host:65536", "host:1:2"),
        *("user@host:1", "host:1/path", "host?q", "host#f", "dns:///host:1", "unix:///socket"),
        *("h ost:1", "host:1 ", "host\n:1", "host:\u0663"),
    ],
)
def test_what_is_no_address_is_refused(target: str):
    with pytest.raises(errors.ConfigurationError, match="is not an address; write it as host:port"):
        split_target(target)


def test_nobody_is_pinged_over_a_socket_of_this_machine():
    # Servers of release 0.9.0 take the fourth ping of an idle connection for an attack.
    assert not any("keepalive" in name for name, _ in unix_target("/socket").options or ())


def test_options_of_a_configuration_come_over_the_defaults():
    assert dict(channel_options()) == dict(DEFAULT_OPTIONS)
    options = dict(channel_options({"grpc.keepalive_time_ms": 1, "grpc.other": "x"}))
    assert options == {**DEFAULT_OPTIONS, "grpc.keepalive_time_ms": 1, "grpc.other": "x"}


@pytest.mark.parametrize(
    ("environment", "insecure"),
    [
        ({}, False),
        ({"JMP_GRPC_INSECURE": "1"}, True),
        ({"JUMPSTARTER_GRPC_INSECURE": "1"}, True),
        ({"JMP_GRPC_INSECURE": "0", "JUMPSTARTER_GRPC_INSECURE": ""}, False),
        ({"JMP_GRPC_INSECURE": "0", "JUMPSTARTER_GRPC_INSECURE": "1"}, True),
    ],
)
def test_insecure_by_environment(environment: Mapping[str, str], insecure: bool):
    assert insecure_by_environment(environment) is insecure


async def greet(context: Context) -> None:
    await context.send_initial_metadata(GREETING)
    # A status that overtakes the metadata would replace them.
    await frames_of(context)


def register(server: Server) -> None:
    router_pb2_grpc.add_RouterServiceServicer_to_server(OneMethod(greet), server)


@asynccontextmanager
async def serving(certificate: Certificate | None) -> AsyncGenerator[int]:
    """Serve on a port of this machine, which is yielded."""
    credentials = None if certificate is None else certificate.server
    async with serve(register, [Bind("127.0.0.1:0", credentials)]) as ports:
        yield ports[0]


async def greeting(address: str, tls: TLSSettings, *, plaintext: bool = False) -> object:
    """Return what the server at `address` says; raises what connecting raises."""
    async with connect(await tcp_target(address, tls, plaintext=plaintext)) as channel:
        call = router_pb2_grpc.RouterServiceStub(channel).Stream()
        metadata = dict(await call.initial_metadata())
        if "greeting" not in metadata:
            await call.read()
        call.cancel()
        return metadata["greeting"]


async def refusal(address: str, tls: TLSSettings) -> str:
    """Return why the server at `address` is not trusted."""
    with pytest.raises(AioRpcError) as caught:
        await greeting(address, tls)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    return caught.value.details() or ""


async def test_plaintext():
    async with serving(None) as port:
        assert await greeting(f"127.0.0.1:{port}", SystemTrust(), plaintext=True) == "hello"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_server_under_the_given_ca_is_trusted(host: str, certificate: Certificate):
    async with serving(certificate) as port:
        assert await greeting(f"{host}:{port}", certificate.tls) == "hello"


async def test_a_server_under_another_ca_is_refused(certificate: Certificate):
    other = self_signed(x509.DNSName("localhost"))
    async with serving(certificate) as port:
        assert "CERTIFICATE_VERIFY_FAILED" in await refusal(f"127.0.0.1:{port}", other.tls)


async def test_a_server_that_the_system_does_not_know_is_refused(certificate: Certificate):
    async with serving(certificate) as port:
        assert "CERTIFICATE_VERIFY_FAILED" in await refusal(f"127.0.0.1:{port}", SystemTrust())


async def test_insecure_trusts_what_is_shown(certificate: Certificate):
    async with serving(certificate) as port:
        assert await greeting(f"localhost:{port}", INSECURE) == "hello"


async def test_insecure_by_a_variable(certificate: Certificate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JMP_GRPC_INSECURE", "1")
    async with serving(certificate) as port:
        assert await greeting(f"localhost:{port}", SystemTrust()) == "hello"


@pytest.mark.parametrize("tls", ["insecure", "ca"])
async def test_the_name_must_match_even_so(tls: str):
    certificate = self_signed(x509.DNSName("another.example"))
    async with serving(certificate) as port:
        why = await refusal(f"127.0.0.1:{port}", INSECURE if tls == "insecure" else certificate.tls)
    assert "Hostname Verification Check failed" in why


async def test_insecure_with_nobody_there():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        message = f"^cannot reach {address} to read its certificate: .*: Connection refused$"
        with pytest.raises(errors.ConnectionError, match=message):
            await tcp_target(address, INSECURE)


async def test_insecure_with_somebody_who_speaks_no_tls():
    async def shout(stream: SocketStream) -> None:
        await stream.send(b"220 ready\r\n")
        await stream.receive()

    async with TemporaryTcpListener(shout) as (host, port):
        with pytest.raises(errors.ConnectionError, match=f"^cannot reach {host}:{port} to read"):
            await tcp_target(f"{host}:{port}", INSECURE)


async def test_insecure_with_somebody_who_says_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(channels, "PIN_SECONDS", 0.1)

    async def listen(_: SocketStream) -> None:
        await anyio.sleep_forever()

    async with TemporaryTcpListener(listen) as (host, port):
        message = f"^cannot reach {host}:{port} to read its certificate: no answer in 0.1 seconds$"
        with anyio.fail_after(5), pytest.raises(errors.ConnectionError, match=message):
            await tcp_target(f"{host}:{port}", INSECURE)


@pytest.mark.parametrize("ca", ["-----BEGIN CERTIFICATE-----", "not base64", "YQ"])
async def test_a_ca_that_is_not_base64_is_refused(ca: str):
    with pytest.raises(errors.ConfigurationError, match=r"^tls\.ca: not base64; encode the PEM"):
        await tcp_target("localhost:1", TLSConfigV1Alpha1(ca=ca))


@pytest.mark.parametrize("ca", ["YQ==", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="])
async def test_a_ca_that_is_no_certificate_is_refused(ca: str):
    with pytest.raises(errors.ConfigurationError, match=r"^tls\.ca: no certificate in it"):
        await tcp_target("localhost:1", TLSConfigV1Alpha1(ca=ca))


async def test_a_bundle_of_cas_is_accepted(certificate: Certificate):
    bundle = Certificate(self_signed().chain + certificate.chain, b"")
    async with serving(certificate) as port:
        assert await greeting(f"localhost:{port}", bundle.tls) == "hello"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (grpc.StatusCode.UNAVAILABLE, "grpc error: down"),
        (grpc.StatusCode.UNKNOWN, "grpc controller responded: down"),
        (grpc.StatusCode.PERMISSION_DENIED, "grpc error: down"),
    ],
)
def test_failures_of_a_controller_are_connection_errors(code: grpc.StatusCode, text: str):
    failure = AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="down")
    with pytest.raises(errors.ConnectionError) as caught, translate_grpc_exceptions():
        raise failure
    assert caught.value.message == text
    assert caught.value.__cause__ is failure


def test_other_failures_are_left_alone():
    with pytest.raises(ZeroDivisionError), translate_grpc_exceptions():
        raise ZeroDivisionError
