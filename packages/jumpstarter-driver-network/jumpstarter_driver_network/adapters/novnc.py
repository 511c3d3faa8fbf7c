"""A page of novnc.com that shows a VNC server behind a stream of a driver.

The page's WebSocket goes to a local port; the bytes inside go to the driver's stream.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlencode

from jumpstarter.client import DriverClient
from jumpstarter.client.adapters import blocking
from jumpstarter.streams.forwarding import AnyByteStream
from jumpstarter.streams.listeners import TemporaryTcpListener

from jumpstarter_driver_network.streams.websocket_server import WebsocketServerStream

from . import portforward

PAGE = "https://novnc.com/noVNC/vnc.html"


def page_url(host: str, port: int, *, encrypt: bool) -> str:
    """Return the page's URL; with `encrypt` it connects over TLS, else in the clear."""
    query = {
        "encrypt": int(encrypt),
        "autoconnect": 1,
        "reconnect": 1,
        "host": host,
        "port": port,
    }
    return f"{PAGE}?{urlencode(query)}"


async def handler(client: DriverClient, method: str, conn: AnyByteStream) -> None:
    """Join the WebSocket that speaks on `conn` to a new stream `method` of `client`."""
    websocket = WebsocketServerStream(stream=conn, close_at_eof=True)
    await portforward.handler(client, method, websocket)


@asynccontextmanager
async def novnc_page(
    *, client: DriverClient, method: str = "connect", encrypt: bool = True
) -> AsyncGenerator[str]:
    """Listen for the page's WebSocket on a local port and yield the page's URL.

    The listener itself speaks no TLS: `encrypt` is for a proxy in front of it that does.
    """
    async with TemporaryTcpListener(partial(handler, client, method)) as address:
        yield page_url(address[0], address[1], encrypt=encrypt)


NovncAdapter = blocking(novnc_page)
