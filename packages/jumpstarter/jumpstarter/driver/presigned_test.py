"""HTTP transfers against a real server: what is sent, what is followed, and what a failure says."""

import gzip
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Literal

import anyio
import pytest
from aiohttp import web
from yarl import URL

from jumpstarter.driver.presigned import (
    MAX_REDIRECTS,
    presigned_stream,
    redact_url,
    redirect,
)
from jumpstarter.model.requests import PresignedRequestResource
from jumpstarter.streams.listeners import TemporaryTcpListener
from jumpstarter.streams.sockets import SocketStream

IMAGE = os.urandom((1 << 21) + 3)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncGenerator[Serve]:
    """Serve a handler for every path on a port of its own; the result is the origin."""
    async with AsyncExitStack() as stack:

        async def start(handler: Handler) -> str:
            app = web.Application(client_max_size=0)
            app.router.add_route("*", "/{path:.*}", handler)
            runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True, access_log=None)
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port: int = runner.addresses[0][1]
            return f"http://127.0.0.1:{port}"

        yield start


def request(
    url: str, method: Literal["GET", "PUT"] = "GET", **headers: str
) -> PresignedRequestResource:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return PresignedRequestResource(url=url, method=method, headers=named)


async def fetch(url: str, **headers: str) -> bytes:
    async with presigned_stream(request(url, **headers), 10) as stream:
        return b"".join([chunk async for chunk in stream])


async def put(url: str, *chunks: bytes) -> None:
    async with presigned_stream(request(url, "PUT"), 10) as stream:
        for chunk in chunks:
            await stream.send(chunk)


async def answer_image(_: web.Request) -> web.Response:
    return web.Response(body=IMAGE)


def answer(status: int, **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    return handler


async def never(_: web.Request) -> web.Response:
    await anyio.sleep_forever()
    raise AssertionError


# A request that succeeds


async def test_get_yields_the_body(serve: Serve):
    assert await fetch(await serve(answer_image)) == IMAGE


async def test_put_sends_what_is_written(serve: Serve):
    bodies: list[bytes] = []

    async def store(http: web.Request) -> web.Response:
        bodies.append(await http.content.read())
        return web.Response(status=201)

    await put(await serve(store), b"one", b"", IMAGE)
    await put(await serve(store))
    assert bodies == [b"one" + IMAGE, b""]


async def test_put_is_done_when_the_server_has_answered(serve: Serve):
    answered: list[bool] = []

    async def store(http: web.Request) -> web.Response:
        await http.content.read()
        answered.append(True)
        return web.Response()

    async with presigned_stream(request(await serve(store), "PUT"), 10) as stream:
        await stream.send(b"x")
        await stream.send_eof()
        await stream.send_eof()
        with pytest.raises(anyio.ClosedResourceError):
            await stream.send(b"late")
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
    assert answered == [True]


async def test_a_download_cannot_be_written(serve: Serve):
    async with presigned_stream(request(await serve(answer_image)), 10) as stream:
        with pytest.raises(anyio.ClosedResourceError):
            await stream.send(b"x")
        await stream.send_eof()
        await stream.aclose()


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_headers_and_url_arrive_byte_for_byte(serve: Serve, method: Literal["GET", "PUT"]):
    seen: list[tuple[str, str, str | None]] = []

    async def look(http: web.Request) -> web.Response:
        seen.append((http.method, http.raw_path, http.headers.get("X-Amz-Meta")))
        return web.Response()

    path = "/a%2Fb%20c%7e/%c3%a9+é?sig=a%2Bb%3D%2f&empty=&x=1%2C2,3"
    wire = path.replace("é", "%C3%A9")
    origin = await serve(look)
    async with presigned_stream(request(origin + wire, method, X_Amz_Meta="own"), 10):
        pass
    assert seen == [(method, wire, "own")]


async def test_the_server_is_not_asked_to_compress(serve: Serve):
    async def compress_if_asked(http: web.Request) -> web.Response:
        if "gzip" in http.headers.get("Accept-Encoding", "identity"):
            return web.Response(body=gzip.compress(IMAGE), headers={"Content-Encoding": "gzip"})
        return web.Response(body=IMAGE)

    assert await fetch(await serve(compress_if_asked)) == IMAGE


async def test_compressed_files_stay_compressed(serve: Serve):
    packed = gzip.compress(b"image")

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    assert await fetch(await serve(handler)) == packed


# Redirects


def countdown(status: int = 302) -> Handler:
    """Redirect from /n to /n-1; /0 is the image."""

    async def handler(http: web.Request) -> web.Response:
        left = int(http.path.removeprefix("/"))
        if left == 0:
            return web.Response(body=IMAGE)
        return web.Response(status=status, headers={"Location": str(left - 1)})

    return handler


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(serve: Serve, status: int):
    assert await fetch(f"{await serve(countdown(status))}/1") == IMAGE


async def test_as_many_redirects_as_allowed(serve: Serve):
    assert await fetch(f"{await serve(countdown())}/{MAX_REDIRECTS}") == IMAGE


async def test_one_redirect_too_many(serve: Serve):
    with pytest.raises(RuntimeError, match=r"/11: more than 10 redirects$"):
        await fetch(f"{await serve(countdown())}/{MAX_REDIRECTS + 1}")


async def test_location_is_followed_byte_for_byte(serve: Serve):
    location = "/b%2Fc%7e?sig=a%2Bb%3D"
    seen: list[str] = []

    async def handler(http: web.Request) -> web.Response:
        seen.append(http.raw_path)
        if http.raw_path == location:
            return web.Response(body=b"there")
        return web.Response(status=302, headers={"Location": location})

    assert await fetch(f"{await serve(handler)}/a") == b"there"
    assert seen == ["/a", location]


async def test_credentials_stay_with_their_origin(serve: Serve):
    seen: list[dict[str, str]] = []

    async def keep(http: web.Request) -> web.Response:
        seen.append({name.lower(): value for name, value in http.headers.items()})
        return web.Response()

    elsewhere = await serve(keep)

    async def handler(http: web.Request) -> web.Response:
        await keep(http)
        location = f"{elsewhere}/x" if http.path == "/second" else "/second"
        return web.Response(status=307, headers={"Location": location})

    await fetch(f"{await serve(handler)}/first", Authorization="secret", X_Amz_Date="d", X_Own="o")
    carried = [[name in sent for name in ("authorization", "x-amz-date", "x-own")] for sent in seen]
    assert carried == [[True, True, True], [True, True, True], [False, False, True]]


@pytest.mark.parametrize(
    ("location", "target", "kept"),
    [
        ("/y", "https://h/y", True),
        ("y?q=%2B", "https://h/a/y?q=%2B", True),
        ("https://h:443/y", "https://h:443/y", True),
        ("//other/y", "https://other/y", False),
        ("http://h/y", "http://h/y", False),
        ("https://h:444/y", "https://h:444/y", False),
    ],
)
def test_where_a_redirect_leads(location: str, target: str, kept: bool):
    secrets = dict.fromkeys(
        ("Authorization", "Cookie", "Proxy-Authorization", "x-ms-blob-type", "X-Goog-Date"), "s"
    )
    plain = {"Range": "bytes=0-", "My-Authorization": "fine"}
    found = redirect(URL("https://h/a/b?q=1", encoded=True), secrets | plain, location)
    assert found == (URL(target, encoded=True), secrets | plain if kept else plain)


@pytest.mark.parametrize("location", ["mailto:x", "file:///etc/passwd", "ftp://h/x", "http://["])
async def test_a_redirect_out_of_the_web_is_refused(serve: Serve, location: str):
    with pytest.raises(RuntimeError, match=r"^GET http://127.0.0.1:\d+/a: redirect to no http"):
        await fetch(f"{await serve(answer(302, Location=location))}/a")


async def test_redirect_without_location(serve: Serve):
    with pytest.raises(RuntimeError, match="redirect without a Location header"):
        await fetch(await serve(answer(302)))


async def test_a_redirected_put_is_refused(serve: Serve):
    reached: list[str] = []

    async def other(http: web.Request) -> web.Response:
        reached.append(http.path)
        return web.Response()

    elsewhere = await serve(other)
    with pytest.raises(RuntimeError, match=r"^PUT .*: HTTP 307 Temporary Redirect$"):
        await put(await serve(answer(307, Location=elsewhere)), b"x")
    assert reached == []


# Failures


async def test_refused_get(serve: Serve):
    with pytest.raises(RuntimeError, match=r"^GET http://127.0.0.1:\d+/a: HTTP 403 Forbidden$"):
        await fetch(f"{await serve(answer(403))}/a")


@pytest.mark.parametrize("size", [1, 1 << 23])
async def test_refused_put_is_one_error(serve: Serve, size: int):
    with pytest.raises(RuntimeError, match=r"^PUT http://127.0.0.1:\d+/a: ") as caught:
        await put(f"{await serve(answer(403))}/a", *[bytes(1 << 16)] * (size // (1 << 16) or 1))
    assert caught.type is RuntimeError


async def test_refusal_reaches_a_writer_that_waits(serve: Serve):
    with pytest.raises(RuntimeError, match="HTTP 403 Forbidden$"):
        async with presigned_stream(request(await serve(answer(403)), "PUT"), 10) as stream:
            await stream.send(b"x")
            await anyio.sleep_forever()


async def test_server_that_wants_no_more_stops_the_writer():
    async def accept_at_once(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await anyio.sleep_forever()

    async with TemporaryTcpListener(accept_at_once) as address:
        with anyio.fail_after(5), pytest.raises(anyio.BrokenResourceError):
            async with presigned_stream(request(f"http://127.0.0.1:{address[1]}/", "PUT"), 10) as s:
                while True:
                    await s.send(bytes(1 << 20))


async def test_upload_that_the_driver_breaks_off_is_not_completed():
    bodies: list[bytes] = []
    gone = anyio.Event()

    async def read_all(stream: SocketStream) -> None:
        async with stream:
            bodies.append(b"".join([chunk async for chunk in stream]))
        gone.set()

    async with TemporaryTcpListener(read_all) as address:
        with pytest.raises(LookupError, match="^'mine'$"):
            async with presigned_stream(request(f"http://127.0.0.1:{address[1]}/", "PUT"), 10) as s:
                await s.send(b"half")
                raise KeyError("mine")
        with anyio.fail_after(5):
            await gone.wait()
    assert not bodies[0].endswith(b"0\r\n\r\n")


async def test_truncated_download_is_an_error():
    async def send_half(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async with TemporaryTcpListener(send_half) as address:
        with pytest.raises(RuntimeError, match=r"/cut: ClientPayloadError"):
            await fetch(f"http://127.0.0.1:{address[1]}/cut?sig=1")


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_nobody_listens(method: Literal["GET", "PUT"]):
    async with TemporaryTcpListener(SocketStream.aclose) as address:
        url = f"http://me:secret@127.0.0.1:{address[1]}/a?sig=secret#secret"
    with pytest.raises(RuntimeError, match=r":\d+/a: ClientConnectorError; is it rea") as caught:
        async with presigned_stream(request(url, method), 10):
            await anyio.sleep_forever()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["image.bin", "", "/image?sig=secret", "ftp://h/x", "http:///x", "http://[secret", "h:x"]
)
async def test_address_of_no_web_server(url: str):
    with pytest.raises(ValueError, match=r"^GET: not an http or https address") as caught:
        await fetch(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [404, 302])
async def test_signatures_stay_out_of_messages(serve: Serve, status: int):
    origin = (await serve(answer(status))).replace("//", "//me:secret@")
    with pytest.raises(RuntimeError) as caught:
        await fetch(f"{origin}/a?sig=secret#secret")
    assert "secret" not in str(caught.value)


def test_redacted_url_is_what_was_meant_without_secrets():
    assert redact_url(URL("http://u:p@h:1/a%2Fb?q=1#f", encoded=True)) == "http://h:1/a%2Fb"


async def test_errors_of_the_driver_stay_its_own(serve: Serve):
    with pytest.raises(TimeoutError, match="^the driver's$"):
        async with presigned_stream(request(await serve(answer_image)), 10):
            raise TimeoutError("the driver's")


# Time


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_server_that_never_answers(serve: Serve, method: Literal["GET", "PUT"]):
    url = f"{await serve(never)}/a?sig=secret"
    with pytest.raises(TimeoutError, match=r"^(GET|PUT) http://[^ ?]*/a: not done after 0.1 s"):
        async with presigned_stream(request(url, method), 0.1) as stream:
            if method == "PUT":
                await stream.send(b"x")
            await anyio.sleep_forever()


async def test_body_that_never_ends(serve: Serve):
    async def stall(http: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(http)
        await response.write(b"half")
        return await never(http)

    origin = await serve(stall)
    with pytest.raises(TimeoutError, match="not done after"):
        async with presigned_stream(request(origin), 0.3) as stream:
            assert await stream.receive() == b"half"
            await stream.receive()


