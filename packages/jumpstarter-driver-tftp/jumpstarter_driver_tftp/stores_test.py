"""Files as operators read them: from memory, and from a web server in a process of its own."""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from opendal import AsyncOperator

from jumpstarter_driver_tftp import stores
from jumpstarter_driver_tftp.conftest import PATIENCE, Peer, serving
from jumpstarter_driver_tftp.errors import FileRefused
from jumpstarter_driver_tftp.files_test import content, refused
from jumpstarter_driver_tftp.names import FILE_CHANGED, FORBIDDEN, NOT_A_FILE, NOT_FOUND, UNFINISHED
from jumpstarter_driver_tftp.packet import Ack, Oack, TftpErrorCode
from jumpstarter_driver_tftp.server import TftpServer
from jumpstarter_driver_tftp.stores import READ_AHEAD_BYTES, Store

FAILED = (TftpErrorCode.NOT_DEFINED, "Storage failed")

WEB_SERVER = """
import http.server, sys
handler = lambda *args: http.server.SimpleHTTPRequestHandler(*args, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
async def web(root: Path) -> AsyncGenerator[Store]:
    """The files of `root`, behind a web server in another process."""
    async with await anyio.open_process([sys.executable, "-c", WEB_SERVER, str(root)]) as process:
        assert process.stdout is not None
        with anyio.fail_after(PATIENCE):
            port = int(await process.stdout.receive())
        try:
            yield Store(AsyncOperator("http", endpoint=f"http://127.0.0.1:{port}"))
        finally:
            process.terminate()


async def keep(operator: AsyncOperator, name: str, data: bytes) -> None:
    file = await Store(operator).operator.open(name, "wb")
    if data:
        await file.write(data)
    await file.close()


@pytest.mark.parametrize("size", [0, 1, READ_AHEAD_BYTES, READ_AHEAD_BYTES + 1, 3_000_000])
@pytest.mark.parametrize("limit", [1000, READ_AHEAD_BYTES, 2 * READ_AHEAD_BYTES])
async def test_file_is_read_to_its_end(web: Store, root: Path, size: int, limit: int):
    expected = os.urandom(size)
    (root / "pxe" / "a file").write_bytes(expected)
    assert await content(web, "pxe", "a file", limit=limit) == expected
    memory = AsyncOperator("memory")
    await keep(memory, "pxe/a file", expected)
    assert await content(Store(memory), "pxe", "a file", limit=limit) == expected


async def test_image_boots_straight_from_a_web_server(web: Store, root: Path, peer: Peer):
    image = os.urandom(1_000_000)
    (root / "image").write_bytes(image)
    server = TftpServer("127.0.0.1", 0, web.operator)  # pyright: ignore[reportArgumentType] - it is one
    async with serving(server, peer):
        answer = await peer.read("/image", ("blksize", "1428"), ("tsize", "0"))
        assert answer == Oack((("blksize", "1428"), ("tsize", "1000000")))
        assert await peer.fetch(await peer.answer(Ack(0)), 1428) == image


async def test_file_stays_as_it_was_opened(web: Store, root: Path):
    old = os.urandom(2_000_000)
    memory = AsyncOperator("memory")
    await keep(memory, "file", old)
    (root / "file").write_bytes(old)
    async with Store(memory).open(("file",)) as kept, web.open(("file",)) as sent:
        await keep(memory, "file", b"other")
        (root / "file").unlink()
        (root / "file").write_bytes(b"other")
        for file in (kept, sent):
            read, last = b"", False
            while not last:
                chunk, last = await file.read(READ_AHEAD_BYTES)
                read += chunk
            assert read == old


async def test_names(web: Store, root: Path):
    (root / "a%2fb?c#d é").write_bytes(b"odd")
    (root / f"{UNFINISHED}0").write_bytes(b"partial")
    assert await content(web, "a%2fb?c#d é") == b"odd"
    assert await refused(web, "none") == NOT_FOUND
    assert await refused(web, f"{UNFINISHED}0") == NOT_FOUND
    assert await refused(web, "\udcff") == NOT_FOUND
    memory = AsyncOperator("memory")
    await keep(memory, "folder/file", b"x")
    await keep(memory, "\ufffd", b"x")
    await keep(memory, f"{UNFINISHED}0", b"x")
    assert await refused(Store(memory), "folder/") == NOT_A_FILE
    assert await refused(Store(memory), "folder") == NOT_FOUND
    assert await refused(Store(memory), "\udcff") == NOT_FOUND
    assert await refused(Store(memory), f" {UNFINISHED}0") == NOT_FOUND


class Web:
    """A web server that a test answers for."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.store = Store(AsyncOperator("http", endpoint=f"http://127.0.0.1:{self.port}"))

    @property
    def port(self) -> int:
        return self.listener.getsockname()[1]

    @asynccontextmanager
    async def asked(self, method: bytes) -> AsyncGenerator[socket.socket]:
        """Take the next connection, and what it asks for."""
        loop = asyncio.get_running_loop()
        with anyio.fail_after(PATIENCE):
            connection, _ = await loop.sock_accept(self.listener)
        with connection:
            connection.settimeout(0)
            request = b""
            while b"\r\n\r\n" not in request:
                with anyio.fail_after(PATIENCE):
                    request += await loop.sock_recv(connection, 4096)
            assert request.startswith(method)
            yield connection

    async def answer(self, method: bytes, head: str, body: bytes = b"") -> None:
        async with self.asked(method) as connection:
            await self.send(connection, head, body)

    async def send(self, connection: socket.socket, head: str, body: bytes = b"") -> None:
        text = f"HTTP/1.1 {head}\r\nConnection: close\r\n\r\n".encode()
        await asyncio.get_running_loop().sock_sendall(connection, text + body)


@pytest.fixture
def scripted() -> Generator[Web]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield Web(listener)


async def test_next_chunk_is_fetched_while_one_is_sent(scripted: Web):
    size = 8 * READ_AHEAD_BYTES
    sent = 0

    async def serve() -> None:
        nonlocal sent
        head = f"200 OK\r\nContent-Length: {size}"
        await scripted.answer(b"HEAD", head)
        await scripted.answer(b"HEAD", head)
        async with scripted.asked(b"GET") as connection:
            await scripted.send(connection, head)
            while sent < size:
                with anyio.fail_after(PATIENCE):
                    await asyncio.get_running_loop().sock_sendall(connection, b"x" * 1000)
                sent += 1000

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        async with scripted.store.open(("file",)) as file:
            first, _ = await file.read(READ_AHEAD_BYTES)
            assert isinstance(file, stores.StoredFile)
            with anyio.fail_after(PATIENCE):
                await asyncio.wait([file.ahead])  # nobody has asked for it
            following = file.ahead.result()
            assert following
            assert (await file.read(READ_AHEAD_BYTES))[0] == following
            assert len(first) <= READ_AHEAD_BYTES >= len(following)
        tasks.cancel_scope.cancel()


async def test_size_that_is_not_told(scripted: Web):
    async def serve() -> None:
        await scripted.answer(b"HEAD", "200 OK")
        await scripted.answer(b"GET", "200 OK", b"made up on demand")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        assert await content(scripted.store, "script", limit=5) == b"made up on demand"


@pytest.mark.parametrize("body", [b"x" * 99, b"x" * 0])
async def test_file_that_is_cut_is_an_error(scripted: Web, body: bytes):
    async def serve() -> None:
        await scripted.answer(b"HEAD", "200 OK\r\nContent-Length: 100")
        await scripted.answer(b"HEAD", "200 OK\r\nContent-Length: 100")
        await scripted.answer(b"GET", "200 OK\r\nContent-Length: 100", body)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        assert await refused(scripted.store, "file") == FAILED


@pytest.mark.parametrize("size", [50, 150])
async def test_file_that_changes_while_it_is_opened_is_an_error(scripted: Web, size: int):
    async def serve() -> None:
        head = f"200 OK\r\nContent-Length: {size}"
        await scripted.answer(b"HEAD", "200 OK\r\nContent-Length: 100")
        await scripted.answer(b"HEAD", head)
        await scripted.answer(b"GET", head, b"x" * size)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        assert await refused(scripted.store, "file") == FILE_CHANGED


async def test_store_that_refuses(scripted: Web):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scripted.answer, b"HEAD", "403 Forbidden")
        assert await refused(scripted.store, "file") == FORBIDDEN


async def test_store_that_cannot_be_reached(scripted: Web):
    scripted.listener.close()
    assert await refused(scripted.store, "f") == FAILED


@pytest.mark.parametrize("heads", [0, 1, 2])
async def test_store_that_falls_silent_is_given_up(
    scripted: Web, heads: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stores, "STORE_SECONDS", 0.2)

    async def serve() -> None:
        for _ in range(heads):
            await scripted.answer(b"HEAD", "200 OK\r\nContent-Length: 100")
        async with scripted.asked(b"GET" if heads == 2 else b"HEAD"):
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        with pytest.raises(FileRefused) as raised:
            await content(scripted.store, "file")
        assert raised.value.text == "Storage does not answer"
        tasks.cancel_scope.cancel()


async def leave_after_failure(store: Store) -> None:
    async with store.open(("file",)) as file:
        await file.read(10)
        assert isinstance(file, stores.StoredFile)
        with anyio.fail_after(PATIENCE):
            await asyncio.wait([file.ahead])
        assert file.ahead.done()


async def test_reader_that_leaves_early_leaves_no_error(scripted: Web):
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def serve() -> None:
        head = f"200 OK\r\nContent-Length: {READ_AHEAD_BYTES}"
        await scripted.answer(b"HEAD", head)
        await scripted.answer(b"HEAD", head)
        await scripted.answer(b"GET", head, b"x" * 1000)  # and then closes

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await leave_after_failure(scripted.store)
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
