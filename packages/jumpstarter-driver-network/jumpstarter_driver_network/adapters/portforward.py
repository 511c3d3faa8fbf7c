"""Local TCP, UDP and Unix ports that lead to a stream of a driver.

Each local connection opens a stream of its own and shares its fate: an end of file stays a
half-close, a reset stays a reset, and a device that cannot be reached resets the connection. With
UDP each sender has a stream of its own, so that an answer finds the sender that asked.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from os import PathLike

from anyio import BrokenResourceError
from jumpstarter.client import DriverClient
from jumpstarter.client.adapters import blocking
from jumpstarter.model.errors import JumpstarterException
from jumpstarter.streams.forwarding import AnyByteStream, pump, reset_stream
from jumpstarter.streams.listeners import TemporaryTcpListener, TemporaryUnixListener
from jumpstarter.streams.udp_listener import IDLE_SECONDS, TemporaryUdpListener

logger = logging.getLogger(__name__)


async def handler(client: DriverClient, method: str, conn: AnyByteStream) -> None:
    """Join `conn`, a local connection, to a new stream `method` of `client`, and close both.

    Never raises: a failure is logged and resets the connection, for its peer cannot be told more.
    """
    async with conn:
        try:
            async with client.stream_async(method) as remote:
                await pump(conn, remote)
        except BrokenResourceError as error:
            logger.debug("forward to %s.%s broke: %s", client.name, method, error)
            await reset_stream(conn)
        except JumpstarterException as error:
            logger.warning("cannot forward to %s.%s: %s", client.name, method, error.message)
            await reset_stream(conn)
        except Exception:
            logger.exception("forward to %s.%s failed", client.name, method)
            await reset_stream(conn)


@asynccontextmanager
async def tcp_portforward(
    *,
    client: DriverClient,
    method: str = "connect",
    local_host: str = "127.0.0.1",
    local_port: int = 0,
) -> AsyncGenerator[tuple[str, int]]:
    """Listen on a local TCP port (0: any free one) and yield its socket address.

    At the end all connections are closed. Raises OSError when the port cannot be had.
    """
    async with TemporaryTcpListener(
        partial(handler, client, method),
        local_host=local_host,
        local_port=local_port,
        reuse_port=False,
    ) as address:
        yield address


@asynccontextmanager
async def unix_portforward(
    *,
    client: DriverClient,
    method: str = "connect",
    path: str | PathLike[str] | None = None,
) -> AsyncGenerator[str | PathLike[str]]:
    """Listen on a Unix socket at `path` and yield it; without one at a new Path, and yield that.

    At the end all connections are closed. Raises OSError when the path cannot be had.
    """
    async with TemporaryUnixListener(partial(handler, client, method), path=path) as address:
        yield address if path is None else path


@asynccontextmanager
async def udp_portforward(
    *,
    client: DriverClient,
    method: str = "connect",
    local_host: str = "127.0.0.1",
    local_port: int = 0,
    idle_timeout: float = IDLE_SECONDS,
) -> AsyncGenerator[tuple[str, int]]:
    """Bind a local UDP port (0: any free one) and yield its socket address.

    A datagram stays one datagram, both ways. A sender that is quiet for `idle_timeout` seconds is
    forgotten. Raises OSError when the port cannot be had.
    """
    async with TemporaryUdpListener(
        partial(handler, client, method),
        local_host=local_host,
        local_port=local_port,
        idle=idle_timeout,
    ) as address:
        yield address


TcpPortforwardAdapter = blocking(tcp_portforward)
UnixPortforwardAdapter = blocking(unix_portforward)
UdpPortforwardAdapter = blocking(udp_portforward)
