"""A tunnel: one local stream joined to its counterpart through a router.

Both sides dial out to the router with the token that the controller gave them; equal tokens meet.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import grpc
from jumpstarter_protocol import router_pb2_grpc

from jumpstarter.streams.forwarding import AnyByteStream, forward_stream

from .channels import TLSSettings, aio_secure_channel, ssl_channel_credentials
from .router_stream import RouterStream


@asynccontextmanager
async def connect_router_stream(
    endpoint: str,
    token: str,
    stream: AnyByteStream,
    tls_config: TLSSettings,
    grpc_options: Mapping[str, str | int] | None = None,
) -> AsyncGenerator[None]:
    """Copy between `stream` and the router at `endpoint` beside the body.

    The router knows the other side by `token`. Leaving waits until both directions have ended.
    """
    credentials = grpc.composite_channel_credentials(
        await ssl_channel_credentials(endpoint, tls_config),
        grpc.access_token_call_credentials(token),
    )
    async with aio_secure_channel(endpoint, credentials, grpc_options) as channel:
        router = RouterStream(context=router_pb2_grpc.RouterServiceStub(channel).Stream())
        async with forward_stream(router, stream):
            yield
