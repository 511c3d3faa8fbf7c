"""Fabric, which runs commands and copies files over SSH, on a stream of a driver."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from anyio import CancelScope, to_thread
from jumpstarter.client import DriverClient
from jumpstarter.client.adapters import blocking

from jumpstarter_driver_network.extras import extra

from .portforward import tcp_portforward

with extra("fabric"):
    from fabric import Config, Connection  # pyright: ignore[reportMissingTypeStubs] - it has none


@asynccontextmanager
async def fabric_connection(  # noqa: PLR0913 - the parameters are those of fabric.Connection
    *,
    client: DriverClient,
    method: str = "connect",
    user: str | None = None,
    config: Config | None = None,
    forward_agent: bool | None = None,
    connect_timeout: int | None = None,
    connect_kwargs: Mapping[str, object] | None = None,
    inline_ssh_env: bool | None = None,
) -> AsyncGenerator[Connection]:
    """Yield a connection to the SSH server behind the stream `method` of `client`.

    Fabric connects at the first command. The parameters from `user` on are those of
    `fabric.Connection`. The connection is closed at the end.
    """
    async with tcp_portforward(client=client, method=method) as address:
        connection = Connection(
            host=address[0],
            port=address[1],
            user=user,
            config=config,
            forward_agent=forward_agent,
            connect_timeout=connect_timeout,
            connect_kwargs=connect_kwargs,
            inline_ssh_env=inline_ssh_env,
        )
        try:
            yield connection
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(connection.close)


FabricAdapter = blocking(fabric_connection)
