"""Asynchronous clients: cancel scopes around whatever waits for the exporter."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager

import anyio
import pytest
from anyio.abc import ObjectStream
from anyio.from_thread import BlockingPortal

from jumpstarter.client import DriverClient
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.local import serve_async
from jumpstarter.model.errors import DriverError
from jumpstarter.streams.memory import create_memory_stream


class Waits(Driver):
    """Never answers, and says when it was left."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.entered, self.left = anyio.Event(), anyio.Event()

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    async def wait(self) -> None:
        try:
            self.entered.set()
            await anyio.sleep_forever()
        finally:
            self.left.set()

    @export
    async def call(self) -> None:
        await self.wait()

    @export
    async def stream_items(self) -> AsyncGenerator[int, None]:
        yield 1
        await self.wait()

    @exportstream
    @asynccontextmanager
    async def open_never(self) -> AsyncGenerator[ObjectStream[bytes]]:
        await self.wait()
        yield create_memory_stream()[0]

    @exportstream
    @asynccontextmanager
    async def send_never(self) -> AsyncGenerator[ObjectStream[bytes]]:
        here, there = create_memory_stream()
        self.entered.set()
        try:
            async with here, there:
                yield here
        finally:
            self.left.set()

    @export
    async def use(self, handle: object) -> None:
        async with self.resource(handle):
            await self.wait()


async def call(client: DriverClient) -> None:
    await client.call_async("call")


async def read_items(client: DriverClient) -> None:
    async for _ in client.streamingcall_async("stream_items"):
        pass


async def open_stream(client: DriverClient) -> None:
    async with client.stream_async("open_never"):
        raise AssertionError


async def read_stream(client: DriverClient) -> None:
    async with client.stream_async("send_never") as stream:
        await stream.receive()


async def lend_stream(client: DriverClient) -> None:
    async with client.resource_async(create_memory_stream()[0]) as handle:
        await client.call_async("use", handle)


USES = pytest.mark.parametrize("use", [call, read_items, open_stream, read_stream, lend_stream])
Use = Callable[[DriverClient], Awaitable[None]]


@pytest.fixture
def driver() -> Waits:
    return Waits()


@pytest.fixture
async def client(driver: Waits) -> AsyncGenerator[DriverClient]:
    async with BlockingPortal() as portal:
        with ExitStack() as stack:
            async with serve_async(driver, portal, stack) as client:
                yield client


@USES
async def test_a_scope_that_is_cancelled_ends_what_waits(
    driver: Waits, client: DriverClient, use: Use
):
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                await driver.entered.wait()
                scope.cancel()

            tasks.start_soon(cancel)
            await use(client)
    assert scope.cancelled_caught
    with anyio.fail_after(5):
        await driver.left.wait()


@USES
async def test_a_deadline_is_a_timeout(client: DriverClient, use: Use):
    with pytest.raises(TimeoutError), anyio.fail_after(0.05):
        await use(client)


@USES
async def test_a_cancelled_task_is_cancelled(driver: Waits, client: DriverClient, use: Use):
    task = asyncio.ensure_future(use(client))
    await driver.entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with anyio.fail_after(5):
        await driver.left.wait()


async def test_the_client_goes_on_after_a_timeout(client: DriverClient):
    for _ in range(3):
        with anyio.move_on_after(0.01):
            await call(client)
    with pytest.raises(DriverError):
        await client.call_async("absent")
