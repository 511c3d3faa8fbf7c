"""HTTP transfers that an exporter makes for a client: GET to read a file, PUT to write one.

A pre-signed URL is only valid byte for byte, so nothing re-encodes it, and redirects are followed
here: credentials must not travel to another origin. Query strings hold signatures and are kept out
of every message.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
import anyio
from anyio import ClosedResourceError, EndOfStream
from anyio.abc import ObjectSendStream, ObjectStream
from yarl import URL

from jumpstarter.model.requests import PresignedRequestResource

MAX_REDIRECTS: Final = 10
CHUNK_SIZE: Final = 1 << 20
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SENSITIVE: Final = (
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-amz-",
    "x-ms-",
    "x-goog-",
)


def redact_url(url: URL) -> str:
    """Return `url` without user, query and fragment, for messages."""
    return str(url.with_user(None).with_query(None).with_fragment(None))


def redirect(url: URL, headers: Mapping[str, str], location: str) -> tuple[URL, dict[str, str]]:
    """Return where a redirect leads and the headers that may go there (RFC 9110 section 15.4).

    Headers that carry credentials are dropped when the origin changes.
    """
    target = url.join(URL(location, encoded=True))
    if target.origin() == url.origin():
        return target, dict(headers)
    kept = {
        name: value for name, value in headers.items() if not name.lower().startswith(_SENSITIVE)
    }
    return target, kept


@asynccontextmanager
async def presigned_stream(
    request: PresignedRequestResource, timeout_s: float
) -> AsyncGenerator[ObjectStream[bytes]]:
    """Yield the body of the request: to read for GET, to write for PUT.

    Raises RuntimeError when the server refuses or the connection fails, TimeoutError after
    `timeout_s` seconds in all.
    """
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    url = URL(request.url, encoded=True)
    try:
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
            if request.method == "GET":
                async with _get(session, url, request.headers) as response:
                    yield _Download(response)
            else:
                async with _put(session, url, request.headers) as stream:
                    yield stream
    except aiohttp.ClientError as error:
        message = f"{request.method} {redact_url(url)}: {type(error).__name__}; is it reachable?"
        raise RuntimeError(message) from None


@asynccontextmanager
async def _get(
    session: aiohttp.ClientSession, url: URL, headers: Mapping[str, str]
) -> AsyncGenerator[aiohttp.ClientResponse]:
    hop, sent = url, dict(headers)
    for _ in range(MAX_REDIRECTS + 1):
        async with session.get(hop, headers=sent, allow_redirects=False) as response:
            if response.status not in _REDIRECTS:
                _check(response, hop)
                yield response
                return
            location = response.headers.get("Location")
            if location is None:
                message = f"GET {redact_url(hop)}: redirect without a Location header"
                raise RuntimeError(message)
            hop, sent = redirect(hop, sent, location)
    message = f"GET {redact_url(url)}: more than {MAX_REDIRECTS} redirects"
    raise RuntimeError(message)


@asynccontextmanager
async def _put(
    session: aiohttp.ClientSession, url: URL, headers: Mapping[str, str]
) -> AsyncGenerator[ObjectStream[bytes]]:
    send, receive = anyio.create_memory_object_stream[bytes](4)

    async def upload() -> None:
        async with session.put(url, headers=headers, data=receive) as response:
            _check(response, url)

    async with anyio.create_task_group() as tasks, receive:
        tasks.start_soon(upload)
        async with send:
            yield _Upload(send)


def _check(response: aiohttp.ClientResponse, url: URL) -> None:
    if response.status >= 300:  # noqa: PLR2004 - the first status that is no success (RFC 9110)
        message = f"{response.method} {redact_url(url)}: HTTP {response.status} {response.reason}"
        raise RuntimeError(message)


@dataclass(eq=False)
class _Download(ObjectStream[bytes]):
    """The body of a response."""

    response: aiohttp.ClientResponse

    async def receive(self) -> bytes:
        data = await self.response.content.read(CHUNK_SIZE)
        if not data:
            raise EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        del item
        raise ClosedResourceError

    async def send_eof(self) -> None:
        """Nothing is sent, so there is nothing to end."""

    async def aclose(self) -> None:
        self.response.close()


@dataclass(eq=False)
class _Upload(ObjectStream[bytes]):
    """The body of a request."""

    sink: ObjectSendStream[bytes]

    async def receive(self) -> bytes:
        raise EndOfStream

    async def send(self, item: bytes) -> None:
        if item:
            await self.sink.send(item)

    async def send_eof(self) -> None:
        await self.sink.aclose()

    async def aclose(self) -> None:
        await self.sink.aclose()
