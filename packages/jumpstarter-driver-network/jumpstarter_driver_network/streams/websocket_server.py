"""The server end of a WebSocket as a byte stream, over a byte stream.

The handshake is answered by whichever of `receive` and `send` comes first: servers such as VNC
speak before the client does. A WebSocket has no half-close: the best that can be made of an end of
file is a Close, after which the client will soon stop sending too.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from anyio import BrokenResourceError, ClosedResourceError, EndOfStream, Lock, move_on_after
from anyio.abc import ObjectStream
from jumpstarter.streams.forwarding import AnyByteStream, reset_stream
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

# RFC 6455 section 7.4.1: the purpose of the connection has been fulfilled.
NORMAL_CLOSURE = 1000

# How long a close waits for the peer to agree, in seconds.
CLOSE_SECONDS = 1.0


def choose_subprotocol(offered: Sequence[str]) -> str | None:
    """Return the sub-protocol to accept: noVNC offers `binary`, which means nothing special."""
    return "binary" if "binary" in offered else None


def _new_protocol() -> WSConnection:
    return WSConnection(ConnectionType.SERVER)


@dataclass(kw_only=True, eq=False)
class WebsocketServerStream(ObjectStream[bytes]):
    """Carries bytes over `stream`, on which a WebSocket client speaks.

    What the client sends comes out as bytes, text as UTF-8, with no regard to message boundaries;
    a send becomes one binary message. Pings are answered while somebody receives. `send_eof` sends
    a Close with `close_at_eof`, and does nothing without.
    """

    stream: AnyByteStream
    close_at_eof: bool = False
    _protocol: WSConnection = field(init=False, default_factory=_new_protocol)
    _accepting: Lock = field(init=False, default_factory=Lock)
    _writing: Lock = field(init=False, default_factory=Lock)
    _received: deque[bytes] = field(init=False, default_factory=deque[bytes])
    _ended: bool = field(init=False, default=False)
    _closed: bool = field(init=False, default=False)

    async def accept(self) -> None:
        """Answer the client's handshake, once. BrokenResourceError when it is not a valid one."""
        async with self._accepting:
            while self._protocol.state is ConnectionState.CONNECTING:
                await self._read()

    async def receive(self) -> bytes:
        """Return what arrived next. EndOfStream when the client has closed."""
        self._check_open()
        await self.accept()
        while not self._received:
            if self._ended:
                raise EndOfStream
            await self._read()
        return self._received.popleft()

    async def send(self, item: bytes) -> None:
        """Send `item` as one binary message. BrokenResourceError once the client has closed."""
        self._check_open()
        await self.accept()
        await self._write(BytesMessage(data=item))

    async def send_eof(self) -> None:
        """Send a Close with `close_at_eof`; receiving goes on until the client answers it."""
        self._check_open()
        if self.close_at_eof:
            await self.accept()
            await self._send_close()

    async def aclose(self) -> None:
        """Close the WebSocket, then the stream below; waits a little for the client to agree."""
        self._closed = True
        try:
            with move_on_after(CLOSE_SECONDS, shield=True):
                await self._say_goodbye()
        finally:
            await self.stream.aclose()

    async def reset(self) -> None:
        """Drop the connection without a goodbye, so that the client sees a failure."""
        self._closed = True
        await reset_stream(self.stream)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedResourceError

    async def _say_goodbye(self) -> None:
        if self._protocol.state not in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING):
            return
        try:
            await self._send_close()
            while not self._ended:
                await self._read()
        except (BrokenResourceError, ClosedResourceError):
            return

    async def _send_close(self) -> None:
        if self._protocol.state is ConnectionState.OPEN:
            await self._write(CloseConnection(code=NORMAL_CLOSURE))

    async def _read(self) -> None:
        try:
            data = await self.stream.receive()
        except EndOfStream as error:
            # RFC 6455 section 7.1.5: an end without a Close frame is an abnormal closure.
            raise BrokenResourceError from error
        try:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                await self._handle(event)
        except (RemoteProtocolError, UnicodeError) as error:
            await self._refuse(error)
            raise BrokenResourceError from error

    async def _refuse(self, error: RemoteProtocolError | UnicodeError) -> None:
        hint = error.event_hint if isinstance(error, RemoteProtocolError) else None
        if isinstance(hint, RejectConnection | CloseConnection):
            await self._write(hint)

    async def _handle(self, event: Event) -> None:
        match event:
            case Request():
                subprotocol = choose_subprotocol(event.subprotocols)
                await self._write(AcceptConnection(subprotocol=subprotocol))
            case BytesMessage() if event.data:
                self._received.append(bytes(event.data))
            case TextMessage() if event.data:
                self._received.append(event.data.encode())
            case Ping():
                await self._write(event.response())
            case CloseConnection():
                self._ended = True
                if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                    await self._write(event.response())
            case _:
                pass

    async def _write(self, event: Event) -> None:
        async with self._writing:
            try:
                data = self._protocol.send(event)
            except LocalProtocolError as error:
                raise BrokenResourceError from error
            await self.stream.send(data)
