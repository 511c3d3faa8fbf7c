"""Channels to exporters, controllers and routers: addresses, options and transport security."""

import base64
import os
import ssl
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote, urlsplit

import anyio
import grpc
from anyio.streams.tls import TLSAttribute, TLSStream
from grpc.aio import AioRpcError, Channel

from jumpstarter.model import errors
from jumpstarter.streams import sockets

from .blocking import Target

DEFAULT_PORT: Final = 443

FRAME_BYTES: Final = 1 << 20
"""The largest frame of HTTP/2 that either end takes: a message of ours comes in one, not in 64."""

DEFAULT_OPTIONS: Final[Mapping[str, str | int]] = {
    "grpc.lb_policy_name": "round_robin",
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 180_000,
    "grpc.http2.max_pings_without_data": 0,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.http2.max_frame_size": FRAME_BYTES,
}
"""Options of every channel; a configuration's `grpcOptions` override them."""

MAX_SOCKET_PATH: Final = 107
"""Bytes in the path of a Unix socket (unix(7))."""

PIN_SECONDS: Final = 20.0
"""Seconds for a server whose certificate is not verified to show it."""

INSECURE_VARIABLES: Final = ("JMP_GRPC_INSECURE", "JUMPSTARTER_GRPC_INSECURE")


class TLSSettings(Protocol):
    """The part of a TLS configuration that a channel needs."""

    @property
    def ca(self) -> str:
        """Base64 of a PEM bundle, or empty for the system's roots."""
        ...

    @property
    def insecure(self) -> bool:
        """Trust whatever certificate the far side shows; the name in it must still match."""
        ...


@dataclass(frozen=True, slots=True)
class SystemTrust:
    """TLS as the system does it: its roots, and every certificate verified."""

    ca: str = ""
    insecure: bool = False


def channel_options(
    overrides: Mapping[str, str | int] | None = None,
) -> list[tuple[str, str | int]]:
    """Return the default options with `overrides` over them."""
    return list({**DEFAULT_OPTIONS, **(overrides or {})}.items())


def insecure_by_environment(environment: Mapping[str, str]) -> bool:
    """Return whether a variable asks to trust any certificate."""
    return any(environment.get(name) == "1" for name in INSECURE_VARIABLES)


def split_target(target: str) -> tuple[str, int]:
    """Return host and port of `host`, `host:port` or `[v6]:port`; the port defaults to 443.

    Raises ConfigurationError for text that is none of these.
    """
    try:
        parts = urlsplit(f"//{target}")
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = None, None, None
    if parts is None or host is None or port == 0 or not _is_only_an_address(target, parts.netloc):
        message = f"{target!r} is not an address; write it as host:port"
        raise errors.ConfigurationError(message)
    return host, DEFAULT_PORT if port is None else port


def _is_only_an_address(target: str, netloc: str) -> bool:
    """Return whether `target` has none of the other parts of a URL, which are no use here."""
    return netloc == target and "@" not in target and not any(map(str.isspace, target))


async def ssl_channel_credentials(target: str, tls_config: TLSSettings) -> grpc.ChannelCredentials:
    """Return the credentials for a TLS channel to `target`.

    With `insecure`, or the environment variable, the certificates that the far side presents now
    become the only roots. Raises ConfigurationError for a `ca` that holds no certificates, and
    ConnectionError when the far side cannot be reached.
    """
    if tls_config.insecure or insecure_by_environment(os.environ):
        host, port = split_target(target)
        roots = await _presented_chain(host, port)
    elif tls_config.ca:
        roots = _decoded(tls_config.ca)
    else:
        roots = None
    return grpc.ssl_channel_credentials(root_certificates=roots)


def aio_secure_channel(
    target: str,
    credentials: grpc.ChannelCredentials,
    grpc_options: Mapping[str, str | int] | None = None,
) -> Channel:
    """Return a TLS channel to `target`; the caller closes it."""
    return grpc.aio.secure_channel(target, credentials, options=channel_options(grpc_options))


def unix_target(path: str | Path) -> Target:
    """Return how to reach the exporter that listens on the Unix socket `path`.

    It is not pinged. A socket of this machine needs none, the tunnel behind it has its own, and an
    exporter of release 0.9.0 would end a connection that says nothing else for two minutes.
    """
    credentials = grpc.local_channel_credentials(grpc.LocalConnectionType.UDS)
    return Target(unix_address(path), credentials, [])


def fits_in_address(path: str | Path) -> bool:
    """Return whether a Unix socket can have `path`; gRPC has no clear word about longer ones."""
    return len(os.fsencode(path)) <= MAX_SOCKET_PATH


def unix_address(path: str | Path) -> str:
    """Return gRPC's address of the Unix socket `path`.

    gRPC takes it for a URL, so what has a meaning there is quoted, and it must be absolute.
    """
    return f"unix://{quote(str(Path(path).absolute()))}"


async def tcp_target(
    address: str,
    tls_config: TLSSettings,
    grpc_options: Mapping[str, str | int] | None = None,
    *,
    plaintext: bool = False,
) -> Target:
    """Return how to reach the exporter that listens on `address`, `host:port`.

    `plaintext` leaves out TLS altogether. Raises as `ssl_channel_credentials` does.
    """
    credentials = None if plaintext else await ssl_channel_credentials(address, tls_config)
    return Target(address, credentials, channel_options(grpc_options))


@asynccontextmanager
async def connect(target: Target) -> AsyncGenerator[Channel]:
    """Yield a channel to `target`; the connection is made at the first call."""
    if target.credentials is None:
        channel = grpc.aio.insecure_channel(target.address, options=target.options)
    else:
        channel = grpc.aio.secure_channel(
            target.address, target.credentials, options=target.options
        )
    async with channel:
        yield channel


@contextmanager
def translate_grpc_exceptions() -> Generator[None]:
    """Turn the failure of a controller's RPC into ConnectionError, with what it says."""
    try:
        yield
    except AioRpcError as error:
        match error.code():
            case grpc.StatusCode.UNKNOWN:
                message = f"grpc controller responded: {error.details()}"
            case _:
                message = f"grpc error: {error.details()}"
        raise errors.ConnectionError(message) from error


def _decoded(ca: str) -> bytes:
    try:
        pem = base64.b64decode(ca, validate=True)
    except ValueError:
        message = "tls.ca: not base64; encode the PEM bundle, for example with `base64 -w0 ca.crt`"
        raise errors.ConfigurationError(message) from None
    try:
        # gRPC takes anything, and says only when it connects that something is wrong.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem.decode("ascii"))
    except (ssl.SSLError, ValueError):
        message = "tls.ca: no certificate in it; encode certificates in PEM form"
        raise errors.ConfigurationError(message) from None
    return pem


async def _presented_chain(host: str, port: int) -> bytes:
    """Return the certificates that `host` presents, as PEM, without verifying them."""
    reason = f"no answer in {PIN_SECONDS:g} seconds"
    try:
        with anyio.move_on_after(PIN_SECONDS):
            chain = await _handshake(host, port)
            return "".join(map(ssl.DER_cert_to_PEM_cert, chain)).encode()
    except anyio.BrokenResourceError:
        reason = "the connection was closed"
    except OSError as error:
        reason = str(error)
    message = f"cannot reach {host}:{port} to read its certificate: {reason}"
    raise errors.ConnectionError(message)


async def _handshake(host: str, port: int) -> list[bytes]:
    """Return the certificates that `host` presents, as DER."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    async with await sockets.connect_tcp(host, port) as stream:
        tls = await TLSStream.wrap(
            stream, hostname=host, ssl_context=context, standard_compatible=False
        )
        return _chain(tls.extra(TLSAttribute.ssl_object))


def _chain(tls: ssl.SSLObject) -> list[bytes]:
    if hasattr(tls, "get_unverified_chain"):
        return list(tls.get_unverified_chain())  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType] - public since Python 3.13
    # Before Python 3.13 the chain is only on the inner object; without it, the leaf must do.
    inner = getattr(tls, "_sslobj", None)
    chain = None if inner is None else inner.get_unverified_chain()
    if chain is None:
        leaf = tls.getpeercert(binary_form=True)
        return [] if leaf is None else [leaf]
    return [ssl.PEM_cert_to_DER_cert(item.public_bytes()) for item in chain]
