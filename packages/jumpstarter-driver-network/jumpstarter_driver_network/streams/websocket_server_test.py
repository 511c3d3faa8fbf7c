"""The server end, against a real client, and against bytes that are no WebSocket."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import websockets
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream, Event
from jumpstarter.streams.listeners import TemporaryTcpListener
from jumpstarter.streams.sockets import SocketStream, connect_tcp
from websockets import ConnectionClosedError, ConnectionClosedOK, Subprotocol

from jumpstarter_driver_network.streams import WebsocketServerStream

Handler = Callable[[WebsocketServerStream], Awaitable[None]]


@asynccontextmanager
async def server(handler: Handler) -> AsyncGenerator[tuple[str, int]]:
    """Serve one WebSocket after another; what a handler raises must be expected by it."""

    async def serve(conn: SocketStream) -> None:
        await handler(WebsocketServerStream(stream=conn))

    async with TemporaryTcpListener(serve) as address:
        yield address


def url(address: tuple[str, int]) -> str:
    return f"ws://{address[0]}:{address[1]}"


async def echo(stream: WebsocketServerStream) -> None:
    async with stream:
        async for item in stream:
            await stream.send(item)


async def test_messages_and_text_come_back_as_bytes() -> None:
    async with server(echo) as address, websockets.connect(url(address)) as client:
        await client.send(b"hello")
        assert await client.recv() == b"hello"
        await client.send("grüß")
        assert await client.recv() == "grüß".encode()


async def test_large_message_arrives_whole() -> None:
    data = bytes(range(256)) * 20_000
    async with (
        server(echo) as address,
        websockets.connect(url(address), max_size=None, compression=None) as client,
    ):
        await client.send(data)
        back = b""
        while len(back) < len(data):
            message = await client.recv()
            assert isinstance(message, bytes)
            back += message
    assert back == data


async def test_server_may_speak_first() -> None:
    async def greet(stream: WebsocketServerStream) -> None:
        async with stream:
            await stream.send(b"RFB 003.008\n")
            assert await stream.receive() == b"RFB 003.003\n"

    async with server(greet) as address, websockets.connect(url(address)) as client:
        assert await client.recv() == b"RFB 003.008\n"
        await client.send(b"RFB 003.003\n")


async def test_ping_is_answered() -> None:
    async with server(echo) as address, websockets.connect(url(address)) as client:
        await (await client.ping())


async def test_binary_subprotocol_is_accepted() -> None:
    async with (
        server(echo) as address,
        websockets.connect(url(address), subprotocols=[Subprotocol("binary")]) as client,
    ):
        assert client.subprotocol == "binary"


async def test_close_of_the_client_is_the_end_and_is_answered() -> None:
    ended = Event()

    async def watch(stream: WebsocketServerStream) -> None:
        async with stream:
            with pytest.raises(EndOfStream):
                await stream.receive()
            with pytest.raises(BrokenResourceError):
                await stream.send(b"late")
        ended.set()

    async with server(watch) as address:
        async with websockets.connect(url(address)) as client:
            await client.close()
            assert client.close_code == 1000
        await ended.wait()


async def test_close_of_the_server_is_a_proper_goodbye() -> None:
    async def leave(stream: WebsocketServerStream) -> None:
        await stream.send(b"last")
        await stream.aclose()
        with pytest.raises(ClosedResourceError):
            await stream.send(b"more")

    async with server(leave) as address, websockets.connect(url(address)) as client:
        assert await client.recv() == b"last"
        with pytest.raises(ConnectionClosedOK):
            await client.recv()


async def test_end_of_input_keeps_the_connection() -> None:
    async def half(stream: WebsocketServerStream) -> None:
        async with stream:
            await stream.send(b"one")
            await stream.send_eof()
            assert await stream.receive() == b"two"
            await stream.send(b"three")

    async with server(half) as address, websockets.connect(url(address)) as client:
        assert await client.recv() == b"one"
        await client.send(b"two")
        assert await client.recv() == b"three"


async def test_end_of_input_closes_when_asked_to() -> None:
    received: list[bytes] = []
    ended = Event()

    async def finish(conn: SocketStream) -> None:
        async with WebsocketServerStream(stream=conn, close_at_eof=True) as stream:
            await stream.send(b"last")
            await stream.send_eof()
            received.extend([item async for item in stream])
        ended.set()

    async with (
        TemporaryTcpListener(finish) as address,
        websockets.connect(url(address)) as client,
    ):
        await client.send(b"one")
        assert await client.recv() == b"last"
        with pytest.raises(ConnectionClosedOK):
            await client.recv()
        await ended.wait()
    assert received == [b"one"]


async def test_reset_reaches_the_client_as_a_failure() -> None:
    async def fail(stream: WebsocketServerStream) -> None:
        await stream.accept()
        await stream.reset()

    async with server(fail) as address, websockets.connect(url(address)) as client:
        with pytest.raises(ConnectionClosedError):
            await client.recv()


async def test_vanished_client_breaks_the_stream() -> None:
    broken = Event()

    async def watch(stream: WebsocketServerStream) -> None:
        async with stream:
            with pytest.raises(BrokenResourceError):
                await stream.receive()
        broken.set()

    async with server(watch) as address:
        async with websockets.connect(url(address)) as client:
            client.transport.abort()
        await broken.wait()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01 this is TLS\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
    ],
)
async def test_what_is_no_websocket_is_refused(request_bytes: bytes) -> None:
    refused = Event()

    async def refuse(stream: WebsocketServerStream) -> None:
        async with stream:
            with pytest.raises(BrokenResourceError):
                await stream.receive()
        refused.set()

    async with server(refuse) as address, await connect_tcp(*address) as peer:
        await peer.send(request_bytes)
        await refused.wait()


async def test_plain_http_request_gets_an_http_answer() -> None:
    async def refuse(stream: WebsocketServerStream) -> None:
        async with stream:
            with pytest.raises(BrokenResourceError):
                await stream.receive()

    async with server(refuse) as address, await connect_tcp(*address) as peer:
        await peer.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await peer.receive()).startswith(b"HTTP/1.1 4")
