"""Who is right about a transfer that fails, and drivers that are content with a part."""

import anyio
import anyio.lowlevel
import pytest
from anyio import BrokenResourceError
from anyio.abc import ObjectStream

from jumpstarter.client import lending
from jumpstarter.client.base import DriverClient
from jumpstarter.driver import Driver, export
from jumpstarter.local import serve
from jumpstarter.model.errors import DriverInvalidArgument
from jumpstarter.streams.background import background_tasks
from jumpstarter.streams.memory import create_memory_stream

CHUNK = bytes(1 << 20)


class Taker(Driver):
    """Takes what it is told to, then returns or fails."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    async def take(self, handle: dict[str, object], chunks: int) -> int:
        size = 0
        async with self.resource(handle) as stream:
            for _ in range(chunks):
                size += len(await stream.receive())
        return size

    @export
    async def take_all(self, handle: dict[str, object]) -> int:
        async with self.resource(handle) as stream:
            return sum([len(chunk) async for chunk in stream])

    @export
    async def refuse(self, handle: dict[str, object]) -> None:
        async with self.resource(handle) as stream:
            await stream.receive()
            raise ValueError("no room on this device")


class Endless(ObjectStream[bytes]):
    """Yields for ever, or fails after some chunks."""

    def __init__(self, fail_after: int | None = None) -> None:
        self._left = fail_after

    async def receive(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise OSError("the disk has gone")
        return CHUNK

    async def send(self, item: bytes) -> None:
        raise AssertionError(f"nothing is sent back, but {len(item)} bytes were")

    async def send_eof(self) -> None:
        """Nothing is sent back."""

    async def aclose(self) -> None:
        """Nothing is open."""


async def call(client: DriverClient, stream: ObjectStream[bytes], method: str, *args: int) -> float:
    async with client.resource_async(stream) as handle:
        return await client.call_async(method, handle, *args)


def test_a_driver_may_take_a_part_of_an_upload() -> None:
    with serve(Taker()) as client:
        assert client.portal.call(call, client, Endless(), "take", 2) > 0


def test_the_error_of_the_call_wins_over_the_stream_that_it_broke() -> None:
    with serve(Taker()) as client, pytest.raises(DriverInvalidArgument, match="no room"):
        client.portal.call(call, client, Endless(), "refuse")


def test_the_error_of_the_clients_stream_wins_over_the_call_that_it_broke() -> None:
    with serve(Taker()) as client, pytest.raises(OSError, match="the disk has gone"):
        client.portal.call(call, client, Endless(fail_after=3), "take_all")


def test_a_handle_that_no_call_was_given_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lending, "IDLE_LIMIT", 0.05)

    async def offer(client: DriverClient) -> None:
        async with client.resource_async(Endless()):
            pass

    with serve(Taker()) as client, pytest.raises(BrokenResourceError, match="pass its handle"):
        client.portal.call(offer, client)


def test_everything_arrives() -> None:
    sizes: list[float] = []

    async def upload(client: DriverClient) -> None:
        near, far = create_memory_stream()
        async with background_tasks() as tasks:
            tasks.start_soon(fill, far)
            sizes.append(await call(client, near, "take_all"))

    async def fill(stream: ObjectStream[bytes]) -> None:
        for _ in range(40):
            await stream.send(CHUNK)
        await stream.send_eof()

    with serve(Taker()) as client:
        client.portal.call(upload, client)
    assert sizes == [40 * len(CHUNK)]
