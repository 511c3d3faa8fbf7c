"""HTTP bodies from a real server."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import anyio
import pytest

from jumpstarter.streams.aiohttp import AiohttpStreamReaderStream
from jumpstarter.streams.listeners import TemporaryTcpListener
from jumpstarter.streams.progress import ProgressAttribute
from jumpstarter.streams.sockets import SocketStream


@asynccontextmanager
async def response_to(answer: bytes) -> AsyncGenerator[aiohttp.ClientResponse]:
    async def server(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(answer)

    async with (
        TemporaryTcpListener(server) as (host, port),
        aiohttp.ClientSession() as session,
        session.get(f"http://{host}:{port}/") as response,
    ):
        yield response


async def test_body_is_received_whole():
    body = bytes(range(256)) * 1000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with (
        response_to(head + body) as response,
        AiohttpStreamReaderStream(reader=response.content) as stream,
    ):
        received = [chunk async for chunk in stream]
    assert b"".join(received) == body
    assert b"" not in received


async def test_body_that_is_cut_is_broken():
    async with response_to(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort") as response:
        stream = AiohttpStreamReaderStream(reader=response.content)
        assert await stream.receive() == b"short"
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()


async def test_nothing_can_be_sent():
    async with response_to(b"HTTP/1.1 204 No Content\r\n\r\n") as response:
        stream = AiohttpStreamReaderStream(reader=response.content)
        await stream.send_eof()
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"x")


async def test_known_total_is_told():
    async with response_to(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx") as response:
        content = response.content
        known = AiohttpStreamReaderStream(reader=content, total=response.content_length)
        assert known.extra(ProgressAttribute.total) == 1
        unknown = AiohttpStreamReaderStream(reader=content)
        assert unknown.extra(ProgressAttribute.total, None) is None
