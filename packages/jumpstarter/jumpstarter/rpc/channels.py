"""Channels to exporters, controllers and routers: addresses, options and transport security."""

import base64
import os
import ssl
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import anyio
import anyio.streams.tls
import grpc
from grpc.aio import AioRpcError, Channel

from jumpstarter.model import errors

from .blocking import Target

DEFAULT_PORT: Final = 443

DEFAULT_OPTIONS: Final[Mapping[str, str | int]] = {
    "grpc.lb_policy_name": "round_robin",
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 180_000,
    "grpc.http2.max_pings_without_data": 0,
    "grpc.keepalive_permit_without_calls": 1,
}
"""Options of every channel; a configuration's `grpcOptions` override them."""

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
        host, port = None, None
    if host is None:
        message = f"{target!r} is not an address; write it as host:port"
        raise errors.ConfigurationError(message)
    return host, DEFAULT_PORT if port is None else port


async def ssl_channel_credentials(target: str, tls_config: TLSSettings) -> grpc.ChannelCredentials:
    """Return the credentials for a TLS channel to `target`.

    With `insecure`, or the environment variable, the certificates that the far side presents now
    become the only roots. Raises ConfigurationError for a `ca` that is not base64, and
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
    """Return how to reach the exporter that listens on the Unix socket `path`."""
    credentials = grpc.local_channel_credentials(grpc.LocalConnectionType.UDS)
    return Target(f"unix://{path}", credentials, channel_options())


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
    """Turn the failure of a controller's RPC into ConnectionError, with the text 0.9.0 gives it."""
    try:
        yield
    except AioRpcError as error:
        match error.code():
            case grpc.StatusCode.UNAVAILABLE:
                message = f"grpc error: {error.details()}"
            case grpc.StatusCode.UNKNOWN:
                message = f"grpc controller responded: {error.details()}"
            case _:
                message = "grpc error"
        raise errors.ConnectionError(message) from error


def _decoded(ca: str) -> bytes:
    try:
        return base64.b64decode(ca, validate=True)
    except ValueError:
        message = "tls.ca: not base64; encode the PEM bundle, for example with `base64 -w0 ca.crt`"
        raise errors.ConfigurationError(message) from None


async def _presented_chain(host: str, port: int) -> bytes:
    """Return the certificates that `host` presents, as PEM, without verifying them."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with await anyio.connect_tcp(
            host, port, tls=True, ssl_context=context, tls_standard_compatible=False
        ) as stream:
            tls = stream.extra(anyio.streams.tls.TLSAttribute.ssl_object)
    except (OSError, anyio.BrokenResourceError) as error:
        message = f"cannot reach {host}:{port} to read its certificate: {error}"
        raise errors.ConnectionError(message) from error
    return "".join(ssl.DER_cert_to_PEM_cert(item) for item in _chain(tls)).encode()


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
