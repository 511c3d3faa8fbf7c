"""HTTP transfers that succeed, against a real server: what is sent, and what is followed."""

import gzip
import os
from collections.abc import Callable

import anyio
import pytest
from aiohttp import web
from yarl import URL

from jumpstarter.driver.conftest import Handler, Serve
from jumpstarter.driver.presigned import MAX_REDIRECTS, presigned_stream, redirect
from jumpstarter.model.requests import PresignedRequestResource

IMAGE = os.urandom((1 << 21) + 3)


def get(url: str, **headers: str) -> PresignedRequestResource:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return PresignedRequestResource(url=url, method="GET", headers=named)


def put(url: str, **headers: str) -> PresignedRequestResource:
    return get(url, **headers).model_copy(update={"method": "PUT"})


async def fetch(url: str, **headers: str) -> bytes:
    async with presigned_stream(get(url, **headers), 10) as stream:
        return b"".join([chunk async for chunk in stream])


async def upload(url: str, *chunks: bytes) -> None:
    async with presigned_stream(put(url), 10) as stream:
        for chunk in chunks:
            await stream.send(chunk)


async def answer_image(_: web.Request) -> web.Response:
    return web.Response(body=IMAGE)


async def test_get_yields_the_body(serve_http: Serve):
    assert await fetch(await serve_http(answer_image)) == IMAGE


async def test_put_sends_what_is_written(serve_http: Serve):
    bodies: list[bytes] = []

    async def store(http: web.Request) -> web.Response:
        bodies.append(await http.content.read())
        return web.Response(status=201)

    await upload(await serve_http(store), b"one", b"", IMAGE)
    await upload(await serve_http(store))
    assert bodies == [b"one" + IMAGE, b""]


async def test_put_is_done_when_the_server_has_answered(serve_http: Serve):
    answered: list[bool] = []

    async def store(http: web.Request) -> web.Response:
        await http.content.read()
        answered.append(True)
        return web.Response()

    async with presigned_stream(put(await serve_http(store)), 10) as stream:
        await stream.send(b"x")
        await stream.send_eof()
        await stream.send_eof()
        with pytest.raises(anyio.ClosedResourceError):
            await stream.send(b"late")
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
    assert answered == [True]


async def test_a_download_cannot_be_written(serve_http: Serve):
    async with presigned_stream(get(await serve_http(answer_image)), 10) as stream:
        with pytest.raises(anyio.ClosedResourceError):
            await stream.send(b"x")
        await stream.send_eof()
        await stream.aclose()


@pytest.mark.parametrize("request_of", [get, put])
async def test_headers_and_url_arrive_byte_for_byte(
    serve_http: Serve, request_of: Callable[..., PresignedRequestResource]
):
    seen: list[tuple[str, str, str | None]] = []

    async def look(http: web.Request) -> web.Response:
        seen.append((http.method, http.raw_path, http.headers.get("X-Amz-Meta")))
        return web.Response()

    path = "/a%2Fb%20c%7e/%c3%a9+é?sig=a%2Bb%3D%2f&empty=&x=1%2C2,3"
    wire = path.replace("é", "%C3%A9")
    origin = await serve_http(look)
    async with presigned_stream(request_of(origin + wire, X_Amz_Meta="own"), 10):
        pass
    assert seen == [(request_of.__name__.upper(), wire, "own")]


async def test_the_server_is_not_asked_to_compress(serve_http: Serve):
    async def compress_if_asked(http: web.Request) -> web.Response:
        if "gzip" in http.headers.get("Accept-Encoding", "identity"):
            return web.Response(body=gzip.compress(IMAGE), headers={"Content-Encoding": "gzip"})
        return web.Response(body=IMAGE)

    assert await fetch(await serve_http(compress_if_asked)) == IMAGE


async def test_compressed_files_stay_compressed(serve_http: Serve):
    packed = gzip.compress(b"image")

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    assert await fetch(await serve_http(handler)) == packed


def countdown(status: int = 302) -> Handler:
    """Redirect from /n to /n-1; /0 is the image."""

    async def handler(http: web.Request) -> web.Response:
        left = int(http.path.removeprefix("/"))
        if left == 0:
            return web.Response(body=IMAGE)
        return web.Response(status=status, headers={"Location": str(left - 1)})

    return handler


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(serve_http: Serve, status: int):
    assert await fetch(f"{await serve_http(countdown(status))}/1") == IMAGE


async def test_as_many_redirects_as_allowed(serve_http: Serve):
    assert await fetch(f"{await serve_http(countdown())}/{MAX_REDIRECTS}") == IMAGE


async def test_location_is_followed_byte_for_byte(serve_http: Serve):
    location = "/b%2Fc%7e?sig=a%2Bb%3D"
    seen: list[str] = []

    async def handler(http: web.Request) -> web.Response:
        seen.append(http.raw_path)
        if http.raw_path == location:
            return web.Response(body=b"there")
        return web.Response(status=302, headers={"Location": location})

    assert await fetch(f"{await serve_http(handler)}/a") == b"there"
    assert seen == ["/a", location]


async def test_credentials_stay_with_their_origin(serve_http: Serve):
    seen: list[dict[str, str]] = []

    async def keep(http: web.Request) -> web.Response:
        seen.append({name.lower(): value for name, value in http.headers.items()})
        return web.Response()

    elsewhere = await serve_http(keep)

    async def handler(http: web.Request) -> web.Response:
        await keep(http)
        location = f"{elsewhere}/x" if http.path == "/second" else "/second"
        return web.Response(status=307, headers={"Location": location})

    await fetch(
        f"{await serve_http(handler)}/first", Authorization="secret", X_Amz_Date="d", X_Own="o"
    )
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
