"""pexpect on a stream of a driver."""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from anyio import to_thread
from jumpstarter.client import DriverClient
from jumpstarter.client.adapters import blocking
from pexpect.fdpexpect import fdspawn

from .portforward import tcp_portforward


@asynccontextmanager
async def pexpect_session(
    *, client: DriverClient, method: str = "connect"
) -> AsyncGenerator["fdspawn[bytes]"]:
    """Yield a pexpect session on a new stream `method` of `client`, closed at the end."""
    async with tcp_portforward(client=client, method=method) as address:
        with await to_thread.run_sync(socket.create_connection, address) as sock:
            yield fdspawn(sock)


PexpectAdapter = blocking(pexpect_session)
