"""The client end of a WebSocket as a byte stream: one binary message per send.

A WebSocket has no half-close: `send_eof` does nothing, and the peer's close ends both directions.
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ObjectStream

from jumpstarter_driver_network.extras import extra

with extra("websocket"):
    import websockets
    from websockets.asyncio.client import ClientConnection
    from websockets.exceptions import (
        ConnectionClosed,
        ConnectionClosedOK,
        InvalidHandshake,
        InvalidURI,
    )


@dataclass(kw_only=True, eq=False)
class WebsocketClientStream(ObjectStream[bytes]):
    """Carries bytes over `conn`, an open connection; text messages arrive as UTF-8."""

    conn: ClientConnection
    _closed: bool = field(init=False, default=False)

    async def send(self, item: bytes) -> None:
        """Send `item` as one binary message. BrokenResourceError once the peer has closed."""
        self._check_open()
        try:
            await self.conn.send(item)
        except ConnectionClosed as error:
            raise self._ended(BrokenResourceError) from error

    async def receive(self) -> bytes:
        """Return the next message. EndOfStream after a proper close, else BrokenResourceError."""
        self._check_open()
        try:
            message = await self.conn.recv()
        except ConnectionClosedOK as error:
            raise self._ended(EndOfStream) from error
        except ConnectionClosed as error:
            raise self._ended(BrokenResourceError) from error
        return message.encode() if isinstance(message, str) else message

    async def send_eof(self) -> None:
        """Do nothing: closing would also end what the peer still sends."""

    async def aclose(self) -> None:
        """Say goodbye to the peer, and close."""
        self._closed = True
        await self.conn.close()

    async def reset(self) -> None:
        """Drop the connection without a goodbye, so that the peer sees a failure."""
        self._closed = True
        self.conn.transport.abort()
        await self.conn.wait_closed()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedResourceError

    def _ended(self, error: type[Exception]) -> Exception:
        return ClosedResourceError() if self._closed else error()


@asynccontextmanager
async def connect_websocket(url: str) -> AsyncGenerator[WebsocketClientStream]:
    """Connect to the WebSocket server at `url`.

    Raises ValueError when `url` is not a WebSocket URL, and ConnectionError, naming it, when there
    is no server or it refuses. The server's messages may have up to 1 MiB.
    """
    async with AsyncExitStack() as stack:
        with _naming(url):
            # Found through the module, so that a test of a driver can replace it.
            conn = await stack.enter_async_context(websockets.connect(url))
        yield WebsocketClientStream(conn=conn)


@contextmanager
def _naming(url: str) -> Generator[None]:
    try:
        yield
    except InvalidURI as error:
        raise ValueError(str(error)) from error
    except (OSError, InvalidHandshake) as error:
        message = f"cannot open {url}: {error}"
        raise ConnectionError(message) from error
