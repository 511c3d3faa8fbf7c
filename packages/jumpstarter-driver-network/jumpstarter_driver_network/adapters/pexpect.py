"""pexpect on a stream of a driver.

pexpect wants a file descriptor: it gets one end of a socket pair whose other end is joined to the
stream. What was sent before the session ends still reaches the device.
"""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from anyio import BrokenResourceError, ClosedResourceError, Event, move_on_after
from jumpstarter.client import DriverClient
from jumpstarter.client.adapters import blocking
from jumpstarter.streams.background import background_tasks
from jumpstarter.streams.forwarding import AnyByteStream, copy_stream
from jumpstarter.streams.sockets import SocketStream
from pexpect.fdpexpect import fdspawn

# How long the end of a session waits for the device to take what was sent, in seconds.
DRAIN_SECONDS = 5.0


@asynccontextmanager
async def pexpect_session(
    *, client: DriverClient, method: str = "connect"
) -> AsyncGenerator["fdspawn[bytes]"]:
    """Yield a pexpect session on a new stream `method` of `client`, closed at the end.

    Raises DriverError when the stream cannot be opened. The end of the stream is the session's
    end of file.
    """
    local, near = socket.socketpair()
    with local:
        async with (
            SocketStream(near) as conn,
            client.stream_async(method) as remote,
            background_tasks() as tasks,
        ):
            sent = Event()
            tasks.start_soon(_send, remote, conn, sent)
            tasks.start_soon(_receive, conn, remote)
            yield fdspawn(local)
            # Closing it now, with something unread, would be a reset and not an end of file.
            with suppress(OSError):
                local.shutdown(socket.SHUT_WR)
            with move_on_after(DRAIN_SECONDS):
                await sent.wait()
            # Before the reader is cancelled, which would break the stream behind what was sent.
            await remote.aclose()


async def _send(remote: AnyByteStream, conn: SocketStream, sent: Event) -> None:
    with suppress(BrokenResourceError, ClosedResourceError):
        await copy_stream(remote, conn)
    sent.set()


async def _receive(conn: SocketStream, remote: AnyByteStream) -> None:
    try:
        await copy_stream(conn, remote)
    except (BrokenResourceError, ClosedResourceError):
        await conn.aclose()


PexpectAdapter = blocking(pexpect_session)
