"""Memory streams behave as sockets do."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from jumpstarter.streams.memory import BUFFERED_CHUNKS, create_memory_stream


async def test_each_end_receives_what_the_other_sends():
    a, b = create_memory_stream()
    await a.send(b"to b")
    await b.send(b"to a")
    assert await b.receive() == b"to b"
    assert await a.receive() == b"to a"


async def test_end_comes_after_the_chunks_and_the_other_direction_goes_on():
    a, b = create_memory_stream()
    await a.send(b"last")
    await a.send_eof()
    assert [chunk async for chunk in b] == [b"last"]
    await b.send(b"answer")
    assert await a.receive() == b"answer"
    with pytest.raises(anyio.ClosedResourceError):
        await a.send(b"x")


async def test_send_waits_while_the_buffer_is_full():
    a, b = create_memory_stream()
    for number in range(BUFFERED_CHUNKS):
        await a.send(bytes([number]))
    with anyio.move_on_after(0.01) as scope:
        await a.send(b"too much")
    assert scope.cancelled_caught
    received: list[bytes] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(a.send, b"more")
        received += [await b.receive() for _ in range(BUFFERED_CHUNKS + 1)]
    assert received == [*(bytes([number]) for number in range(BUFFERED_CHUNKS)), b"more"]


async def test_closed_peer_is_an_end_to_the_reader_and_broken_to_the_writer():
    a, b = create_memory_stream()
    await a.aclose()
    with pytest.raises(anyio.EndOfStream):
        await b.receive()
    with pytest.raises(anyio.BrokenResourceError):
        await b.send(b"x")


async def test_closing_wakes_a_writer_that_waits_for_the_peer():
    a, b = create_memory_stream()
    for _ in range(BUFFERED_CHUNKS):
        await a.send(b"x")
    async with anyio.create_task_group() as tasks:

        async def write() -> None:
            with pytest.raises(anyio.BrokenResourceError):
                await a.send(b"y")

        tasks.start_soon(write)
        await checkpoint()
        await checkpoint()
        await b.aclose()


async def test_closing_wakes_its_own_reader():
    a, _ = create_memory_stream()
    async with anyio.create_task_group() as tasks:

        async def read() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await a.receive()

        tasks.start_soon(read)
        await checkpoint()
        await checkpoint()
        await a.aclose()


async def test_reset_is_broken_to_the_reader_after_the_chunks():
    a, b = create_memory_stream()
    await a.send(b"partial")
    await a.reset()
    assert await b.receive() == b"partial"
    with pytest.raises(anyio.BrokenResourceError):
        await b.receive()


async def test_reset_after_close_or_end_changes_nothing():
    a, b = create_memory_stream()
    await a.send_eof()
    await a.reset()
    with pytest.raises(anyio.EndOfStream):
        await b.receive()
