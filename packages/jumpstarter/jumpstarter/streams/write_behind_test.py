"""Writing behind the sender's back: nothing is lost, nothing overtakes, failures are told."""

from collections.abc import Sequence
from typing import cast

import anyio
import pytest
from anyio import BrokenResourceError, ClosedResourceError
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter.streams.write_behind import MAX_QUEUED, BatchStream, write_behind


class Sink:
    """Records what is written; `gate` holds writes back, `broken` fails them."""

    def __init__(self) -> None:
        self.writes: list[tuple[bytes, ...]] = []
        self.events: list[str] = []
        self.gate = anyio.Event()
        self.broken = False

    @property
    def items(self) -> list[bytes]:
        return [item for write in self.writes for item in write]

    async def send_many(self, items: Sequence[bytes]) -> None:
        await self.gate.wait()
        if self.broken:
            raise BrokenResourceError("gone")
        self.writes.append(tuple(items))
        self.events.append("write")

    async def send_eof(self) -> None:
        self.events.append("eof")

    async def aclose(self) -> None:
        self.events.append("close")

    async def reset(self) -> None:
        self.events.append("reset")


def as_stream(sink: Sink) -> BatchStream:
    return cast("BatchStream", sink)


@given(items=st.lists(st.binary(max_size=8), max_size=300))
async def test_every_item_is_written_once_and_in_order(items: list[bytes]) -> None:
    sink = Sink()
    sink.gate.set()
    async with write_behind(as_stream(sink)) as stream:
        for item in items:
            await stream.send(item)
    assert sink.items == items


async def test_items_sent_during_a_write_become_one_write() -> None:
    sink = Sink()
    async with write_behind(as_stream(sink)) as stream:
        await stream.send(b"first")
        await anyio.wait_all_tasks_blocked()
        await stream.send_many([b"a", b"b", b"c"])
        sink.gate.set()
    assert sink.writes == [(b"first",), (b"a", b"b", b"c")]


async def test_send_waits_while_the_queue_is_full() -> None:
    sink = Sink()
    async with write_behind(as_stream(sink)) as stream:
        for _ in range(MAX_QUEUED - 1):
            await stream.send(b"x")
        with anyio.move_on_after(0) as scope:
            await stream.send(b"the one too many")
        assert scope.cancelled_caught
        sink.gate.set()


async def test_eof_and_close_come_after_what_was_queued() -> None:
    sink = Sink()
    sink.gate.set()
    async with write_behind(as_stream(sink)) as stream:
        await stream.send(b"last")
        await stream.send_eof()
        with pytest.raises(ClosedResourceError):
            await stream.send(b"later")
    assert sink.events == ["write", "eof", "close"]


async def test_a_failed_write_is_raised_by_the_next_send() -> None:
    sink = Sink()
    sink.broken = True
    sink.gate.set()
    async with write_behind(as_stream(sink)) as stream:
        await stream.send(b"lost")
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BrokenResourceError, match="gone"):
            await stream.send(b"next")
    assert sink.events == ["close"]


async def test_reset_drops_what_was_queued() -> None:
    sink = Sink()
    async with write_behind(as_stream(sink)) as stream:
        await stream.send(b"dropped")
        await stream.reset()
        sink.gate.set()
    assert sink.events[0] == "reset"
