"""HTTP transfers that an exporter makes for a client: GET to read a file, PUT to write one.

A pre-signed URL is only valid byte for byte, so nothing re-encodes it, and redirects are followed
here: credentials must not travel to another origin. Query strings hold signatures and are kept out
of every message.
"""

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
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
# A file is wanted as it is: compressed for the way, it would arrive as another one.
_HEADERS: Final = {"Accept-Encoding": "identity"}


def redact_url(url: URL) -> str:
    """Return `url` without user, query and fragment, for messages."""
    return str(url.with_user(None).with_query(None).with_fragment(None))


def redirect(url: URL, headers: Mapping[str, str], location: str) -> tuple[URL, dict[str, str]]:
    """Return where a redirect leads and the headers that may go there (RFC 9110 section 15.4).

    Headers that carry credentials are dropped when the origin changes. Raises ValueError when it
    leads to no HTTP server.
    """
    target = url.join(URL(location, encoded=True))
    _check_address(target)
    if _origin(target) == _origin(url):
        return target, dict(headers)
    kept = {
        name: value for name, value in headers.items() if not name.lower().startswith(_SENSITIVE)
    }
    return target, kept


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    """Return what makes two addresses of one origin; the port counts as its scheme's default."""
    return url.scheme, url.host, url.port


@asynccontextmanager
async def presigned_stream(
    request: PresignedRequestResource, timeout_s: float
) -> AsyncGenerator[ObjectStream[bytes]]:
    """Yield the body of the request: to read for GET, to write for PUT.

    Raises ValueError for an address of no HTTP server, RuntimeError when the server refuses or the
    connection fails, TimeoutError after `timeout_s` seconds in all.
    """
    url = _address(request)
    with anyio.move_on_after(timeout_s) as scope:
        async with (
            aiohttp.ClientSession(
                headers=_HEADERS, timeout=aiohttp.ClientTimeout(), auto_decompress=False
            ) as session,
            (_get if request.method == "GET" else _put)(session, url, request.headers) as stream,
        ):
            yield stream
    if scope.cancelled_caught:
        message = f"{request.method} {redact_url(url)}: not done after {timeout_s:g} s"
        raise TimeoutError(message)


@asynccontextmanager
async def _get(
    session: aiohttp.ClientSession, url: URL, headers: Mapping[str, str]
) -> AsyncGenerator[ObjectStream[bytes]]:
    hop, sent = url, dict(headers)
    for _ in range(MAX_REDIRECTS + 1):
        with _translated("GET", hop):
            response = await session.get(hop, headers=sent, allow_redirects=False)
        async with response:
            if response.status not in _REDIRECTS:
                _check(response, hop)
                yield _Download(response, hop)
                return
            hop, sent = _next_hop(hop, sent, response.headers.get("Location"))
    message = f"GET {redact_url(url)}: more than {MAX_REDIRECTS} redirects"
    raise RuntimeError(message)


@asynccontextmanager
async def _put(
    session: aiohttp.ClientSession, url: URL, headers: Mapping[str, str]
) -> AsyncGenerator[ObjectStream[bytes]]:
    send, receive = anyio.create_memory_object_stream[bytes](4)

    async def upload() -> None:
        # A server that answers before it has everything wants no more; closing tells the writer.
        # What was sent is gone, so a redirect cannot be followed.
        with receive, _translated("PUT", url):
            response = await session.put(url, headers=headers, data=receive, allow_redirects=False)
            try:
                _check(response, url)
            finally:
                response.close()

    try:
        async with send, receive, anyio.create_task_group() as tasks:
            tasks.start_soon(upload)
            yield _Upload(send)
            # Not when the writer fails: the server must not take a part for the whole.
            await send.aclose()
    except BaseExceptionGroup as group:
        reason = _reason(group)
        raise reason from reason.__cause__


def _reason(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return why an upload failed: not that nobody reads any more, but why nobody does."""
    others = [item for item in group.exceptions if not isinstance(item, anyio.BrokenResourceError)]
    return [*others, *group.exceptions][0]


def _address(request: PresignedRequestResource) -> URL:
    try:
        url = URL(request.url, encoded=True)
        _check_address(url)
    except ValueError:
        message = f"{request.method}: not an http or https address; send the handle of one"
        raise ValueError(message) from None
    return url


def _check_address(url: URL) -> None:
    if url.scheme not in {"http", "https"} or not url.host:
        message = "no address of an HTTP server"
        raise ValueError(message)


def _next_hop(
    url: URL, headers: Mapping[str, str], location: str | None
) -> tuple[URL, dict[str, str]]:
    if location is None:
        message = f"GET {redact_url(url)}: redirect without a Location header"
        raise RuntimeError(message)
    try:
        return redirect(url, headers, location)
    except ValueError:
        message = f"GET {redact_url(url)}: redirect to no http or https address"
        raise RuntimeError(message) from None


def _check(response: aiohttp.ClientResponse, url: URL) -> None:
    if response.status >= 300:  # noqa: PLR2004 - the first status that is no success (RFC 9110)
        message = f"{response.method} {redact_url(url)}: HTTP {response.status} {response.reason}"
        raise RuntimeError(message)


@contextmanager
def _translated(method: str, url: URL) -> Generator[None]:
    try:
        yield
    except aiohttp.ClientError as error:
        # Its own text may hold the query.
        message = f"{method} {redact_url(url)}: {type(error).__name__}; is it reachable?"
        raise RuntimeError(message) from None


@dataclass(eq=False)
class _Download(ObjectStream[bytes]):
    """The body of a response."""

    response: aiohttp.ClientResponse
    url: URL

    async def receive(self) -> bytes:
        with _translated("GET", self.url):
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
