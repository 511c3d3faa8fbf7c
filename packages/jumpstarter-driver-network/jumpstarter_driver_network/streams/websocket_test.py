"""The client end, against a real server."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream, Event
from jumpstarter.streams.listeners import TemporaryTcpListener
from jumpstarter.streams.sockets import SocketStream
from websockets.asyncio.server import ServerConnection, serve

from jumpstarter_driver_network.streams import connect_websocket


@asynccontextmanager
async def server(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncGenerator[str]:
    async with serve(handler, "127.0.0.1", 0) as listening:
        host, port = next(iter(listening.sockets)).getsockname()
        yield f"ws://{host}:{port}"


async def echo(conn: ServerConnection) -> None:
    async for message in conn:
        await conn.send(message)


async def test_bytes_come_back_as_they_were_sent() -> None:
    async with server(echo) as url, connect_websocket(url) as stream:
        for item in (b"hello", bytes(range(256)), b"x" * 1_000_000):
            await stream.send(item)
            assert await stream.receive() == item


async def test_text_arrives_as_utf8() -> None:
    async def greet(conn: ServerConnection) -> None:
        await conn.send("grüß")

    async with server(greet) as url, connect_websocket(url) as stream:
        assert await stream.receive() == "grüß".encode()


async def test_close_of_the_server_is_the_end_and_breaks_sending() -> None:
    async def leave(conn: ServerConnection) -> None:
        await conn.send(b"last")

    async with server(leave) as url, connect_websocket(url) as stream:
        assert await stream.receive() == b"last"
        with pytest.raises(EndOfStream):
            await stream.receive()
        with pytest.raises(BrokenResourceError):
            await stream.send(b"late")


async def test_vanished_server_breaks_the_stream() -> None:
    async def vanish(conn: ServerConnection) -> None:
        conn.transport.abort()

    async with server(vanish) as url, connect_websocket(url) as stream:
        with pytest.raises(BrokenResourceError):
            await stream.receive()


async def test_reset_reaches_the_server_as_a_failure() -> None:
    codes: list[int | None] = []
    ended = Event()

    async def watch(conn: ServerConnection) -> None:
        await conn.wait_closed()
        codes.append(conn.close_code)
        ended.set()

    async with server(watch) as url:
        async with connect_websocket(url) as stream:
            await stream.reset()
            with pytest.raises(ClosedResourceError):
                await stream.receive()
        await ended.wait()
    assert codes == [1006]


async def test_end_of_input_leaves_receiving_open() -> None:
    async with server(echo) as url, connect_websocket(url) as stream:
        await stream.send(b"ping")
        await stream.send_eof()
        assert await stream.receive() == b"ping"


async def test_closed_stream_refuses_use() -> None:
    async with server(echo) as url, connect_websocket(url) as stream:
        await stream.aclose()
        with pytest.raises(ClosedResourceError):
            await stream.send(b"x")


async def test_refused_connection_names_the_url(free_tcp_port: int) -> None:
    url = f"ws://127.0.0.1:{free_tcp_port}"
    with pytest.raises(ConnectionError, match=f"cannot open {url}"):
        async with connect_websocket(url):
            pass


async def test_server_that_speaks_no_websocket_is_refused_by_name() -> None:
    async def answer(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    async with TemporaryTcpListener(answer) as (host, port):
        with pytest.raises(ConnectionError, match=f"cannot open ws://{host}:{port}: .*404"):
            async with connect_websocket(f"ws://{host}:{port}"):
                pass


async def test_url_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"http://127\.0\.0\.1"):
        async with connect_websocket("http://127.0.0.1"):
            pass
