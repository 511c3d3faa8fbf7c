"""HTTP transfers that fail, against a real server: one error that names the place, no secrets."""

import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from aiohttp import web
from yarl import URL

from jumpstarter.driver.conftest import Handler, Serve
from jumpstarter.driver.presigned import presigned_stream, redact_url
from jumpstarter.model.requests import PresignedRequestResource
from jumpstarter.streams.listeners import TemporaryTcpListener
from jumpstarter.streams.sockets import SocketStream

MIB = bytes(1 << 20)


def get(url: str) -> PresignedRequestResource:
    return PresignedRequestResource(url=url, method="GET", headers={})


def put(url: str) -> PresignedRequestResource:
    return PresignedRequestResource(url=url, method="PUT", headers={})


async def transfer(
    request: PresignedRequestResource, chunks: Iterable[bytes] = (b"x",), timeout_s: float = 10
) -> bytes:
    """Read, or write the chunks, and then do nothing until the transfer is broken off."""
    async with presigned_stream(request, timeout_s) as stream:
        if request.method == "GET":
            return b"".join([chunk async for chunk in stream])
        for chunk in chunks:
            await stream.send(chunk)
        await anyio.sleep_forever()
    raise AssertionError


@asynccontextmanager
async def raw_server(
    handler: Callable[[SocketStream], Awaitable[None]],
) -> AsyncGenerator[str]:
    """Yield the address of a server that is not held to HTTP."""
    async with TemporaryTcpListener(handler) as address:
        yield f"http://127.0.0.1:{address[1]}/a"


def answer(status: int, **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    return handler


async def never(_: web.Request) -> web.Response:
    await anyio.sleep_forever()
    raise AssertionError


async def test_one_redirect_too_many(serve_http: Serve):
    async def again(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/a"})

    with pytest.raises(RuntimeError, match=r"^GET http://127.0.0.1:\d+/a: more than 10 redirects$"):
        await transfer(get(f"{await serve_http(again)}/a"))


@pytest.mark.parametrize("location", ["mailto:x", "file:///etc/passwd", "ftp://h/x", "http://["])
async def test_a_redirect_out_of_the_web_is_refused(serve_http: Serve, location: str):
    origin = await serve_http(answer(302, Location=location))
    with pytest.raises(RuntimeError, match=r"^GET http://127.0.0.1:\d+/a: redirect to no http"):
        await transfer(get(f"{origin}/a"))


async def test_redirect_without_location(serve_http: Serve):
    with pytest.raises(RuntimeError, match="redirect without a Location header"):
        await transfer(get(await serve_http(answer(302))))


async def test_a_redirected_put_is_refused(serve_http: Serve):
    reached: list[str] = []

    async def other(http: web.Request) -> web.Response:
        reached.append(http.path)
        return web.Response()

    origin = await serve_http(answer(307, Location=await serve_http(other)))
    with pytest.raises(RuntimeError, match=r"^PUT .*: HTTP 307 Temporary Redirect$"):
        await transfer(put(origin))
    assert reached == []


@pytest.mark.parametrize("status", [300, 304, 403, 500])
async def test_status_that_is_no_success(serve_http: Serve, status: int):
    origin = await serve_http(answer(status))
    with pytest.raises(RuntimeError, match=rf"^GET http://127.0.0.1:\d+/a: HTTP {status} [A-Z]"):
        await transfer(get(f"{origin}/a"))


async def test_refused_put_is_one_error(serve_http: Serve):
    origin = await serve_http(answer(403))
    with pytest.raises(RuntimeError, match=r"^PUT http://127.0.0.1:\d+/a: HTTP 403 Forbidden$"):
        await transfer(put(f"{origin}/a"))


async def test_put_refused_amid_the_upload_is_one_error(serve_http: Serve):
    origin = await serve_http(answer(403))
    # Where the server closes while it is sent to, its answer may be lost on the way.
    with pytest.raises(RuntimeError, match=r"^PUT http://127.0.0.1:\d+/a: (HTTP 403|Client\w+;)"):
        await transfer(put(f"{origin}/a"), itertools.repeat(MIB))


async def test_server_that_wants_no_more_stops_the_writer():
    async def accept_at_once(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await anyio.sleep_forever()

    async with raw_server(accept_at_once) as url:
        with anyio.fail_after(5), pytest.raises(anyio.BrokenResourceError):
            await transfer(put(url), itertools.repeat(MIB))


async def test_upload_that_the_driver_breaks_off_is_not_completed():
    received: list[bytes] = []
    begun, left = anyio.Event(), anyio.Event()

    async def collect(stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    received.append(await stream.receive())
                    begun.set()
        left.set()

    async def fail_half_way(url: str) -> None:
        async with presigned_stream(put(url), 10) as stream:
            await stream.send(b"half")
            await begun.wait()
            raise LookupError("the driver's")

    async with raw_server(collect) as url:
        with pytest.raises(LookupError, match="the driver's"):
            await fail_half_way(url)
        with anyio.fail_after(5):
            await left.wait()
    assert b"Transfer-Encoding: chunked" in received[0]
    assert not b"".join(received).endswith(b"0\r\n\r\n")


async def test_truncated_download_is_an_error():
    async def send_half(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async with raw_server(send_half) as url:
        with pytest.raises(RuntimeError, match="/a: ClientPayloadError"):
            await transfer(get(f"{url}?sig=1"))


@pytest.mark.parametrize("request_of", [get, put])
async def test_nobody_listens(request_of: Callable[[str], PresignedRequestResource]):
    async with raw_server(SocketStream.aclose) as url:
        pass
    secret = url.replace("//", "//me:secret@") + "?sig=secret#secret"
    with pytest.raises(RuntimeError, match=r":\d+/a: ClientConnectorError; is it rea") as caught:
        await transfer(request_of(secret))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["image.bin", "", "/image?sig=secret", "ftp://h/x", "http:///x", "http://[secret", "h:x"]
)
async def test_address_of_no_web_server(url: str):
    with pytest.raises(ValueError, match=r"^GET: not an http or https address") as caught:
        await transfer(get(url))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [404, 302])
async def test_signatures_stay_out_of_messages(serve_http: Serve, status: int):
    origin = (await serve_http(answer(status))).replace("//", "//me:secret@")
    with pytest.raises(RuntimeError) as caught:
        await transfer(get(f"{origin}/a?sig=secret#secret"))
    assert "secret" not in str(caught.value)


def test_redacted_url_is_what_was_meant_without_secrets():
    assert redact_url(URL("http://u:p@h:1/a%2Fb?q=1#f", encoded=True)) == "http://h:1/a%2Fb"


@pytest.mark.parametrize("request_of", [get, put])
@pytest.mark.parametrize("mine", [TimeoutError("mine"), web.HTTPNotFound(text="mine")])
async def test_errors_of_the_driver_stay_its_own(
    serve_http: Serve, request_of: Callable[[str], PresignedRequestResource], mine: Exception
):
    async def fail() -> None:
        async with presigned_stream(request_of(await serve_http(answer(200))), 10):
            raise mine

    with pytest.raises(type(mine)) as caught:
        await fail()
    assert caught.value is mine


@pytest.mark.parametrize("request_of", [get, put])
async def test_server_that_never_answers(
    serve_http: Serve, request_of: Callable[[str], PresignedRequestResource]
):
    url = f"{await serve_http(never)}/a?sig=secret"
    with pytest.raises(TimeoutError, match=r"^(GET|PUT) http://[^ ?]*/a: not done after 0.1 s$"):
        await transfer(request_of(url), timeout_s=0.1)


async def test_body_that_never_ends(serve_http: Serve):
    async def stall(http: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(http)
        await response.write(b"half")
        return await never(http)

    with pytest.raises(TimeoutError, match=r"not done after 0.2 s$"):
        await transfer(get(await serve_http(stall)), timeout_s=0.2)
