"""gRPC servers: bound when the context is entered, gone with all their calls when it is left."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import anyio
import grpc
from anyio.lowlevel import checkpoint
from grpc.aio import Server, ServerInterceptor

from .channels import FRAME_BYTES, unix_address
from .stub import STREAM_SERVICE
from .vanishing import expect_vanishing

MAX_PENDING: Final = 20_000
"""Calls that may have arrived and not been taken yet: more than 2,000 exporters make at once.

From 1,000 on gRPC would turn calls away at random, with CANCELLED.
"""

OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    # Two servers on one port would share its connections at random instead of the second failing.
    ("grpc.so_reuseport", 0),
    # Clients ping every 20 s; gRPC's own limit of one in 300 s would end their connections.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_frame_size", FRAME_BYTES),
    ("grpc.server.max_pending_requests", MAX_PENDING),
    ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING),
)


@dataclass(frozen=True, slots=True)
class Bind:
    """Where a server listens: `unix:///path` or `host:port`, and how TLS is done there."""

    address: str
    credentials: grpc.ServerCredentials | None = None


def unix_bind(path: str | Path) -> Bind:
    """Return how to listen on the Unix socket `path`; gRPC takes it for a URL, so it is quoted."""
    return Bind(unix_address(path))


@asynccontextmanager
async def serve(
    register: Callable[[Server], None],
    binds: Sequence[Bind],
    interceptors: Sequence[ServerInterceptor] = (),
    grace: float | None = None,
) -> AsyncGenerator[list[int]]:
    """Serve what `register` adds to the server; yield the bound port of each of `binds`.

    The port of a Unix socket is 1. Leaving takes no more calls, gives those that still run `grace`
    seconds to finish, and cancels the rest; their handlers may end a moment later. Raises OSError
    when an address cannot be bound.
    """
    expect_vanishing()
    server = grpc.aio.server(interceptors=interceptors, options=OPTIONS)
    register(server)
    try:
        ports = [_bind(server, bind) for bind in binds]
    except OSError:
        # Only a server that runs gives back what it has bound.
        await _start(server)
        await server.stop(None)
        raise
    await _start(server)
    try:
        # Who was cancelled meanwhile leaves here, through the end of the server.
        await checkpoint()
        yield ports
    finally:
        with anyio.CancelScope(shield=True):
            await server.stop(grace)


async def _start(server: Server) -> None:
    # grpc.aio cannot be cancelled here: a server that has half started would never be stopped.
    with anyio.CancelScope(shield=True):
        await server.start()


def add_raw_stream(
    server: Server, handler: Callable[[AsyncIterator[bytes], Any], Awaitable[None]]
) -> None:
    """Let `handler` serve RouterService's Stream with bytes for messages."""
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(
        cast("Any", handler), None, None
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(STREAM_SERVICE, {"Stream": method}),)
    )


def _bind(server: Server, bind: Bind) -> int:
    try:
        if bind.credentials is None:
            return server.add_insecure_port(bind.address)
        return server.add_secure_port(bind.address, bind.credentials)
    except RuntimeError as error:
        message = f"cannot listen on {bind.address}: is it in use, or not an address of this host?"
        raise OSError(message) from error
