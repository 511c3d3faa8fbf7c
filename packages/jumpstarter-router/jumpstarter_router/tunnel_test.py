"""Tunnels of clients and exporters through a router: bytes arrive exactly, ends and breaks too."""

import hashlib
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio import BrokenResourceError, EndOfStream
from anyio.abc import ObjectStream
from jumpstarter.rpc.tunnel import connect_router_stream
from jumpstarter.streams.memory import create_memory_stream

from jumpstarter_router.conftest import Lab, no_calls

MIB = 1 << 20


@asynccontextmanager
async def tunnel(lab: Lab, token: str) -> AsyncGenerator[ObjectStream[bytes]]:
    """Yield the local end of one side's tunnel."""
    near, far = create_memory_stream()
    async with connect_router_stream(lab.address, token, far, lab.tls):
        yield near


@asynccontextmanager
async def both_ends(
    lab: Lab, stream: str
) -> AsyncGenerator[tuple[ObjectStream[bytes], ObjectStream[bytes]]]:
    async with (
        tunnel(lab, lab.signer.token(stream, side="exporter")) as exporter,
        tunnel(lab, lab.signer.token(stream, side="client")) as client,
    ):
        yield exporter, client


@pytest.mark.parametrize("seed", range(3))
async def test_bytes_arrive_exactly_whatever_their_sizes(lab: Lab, seed: int):
    sent: dict[str, str] = {}
    received: dict[str, str] = {}

    async def send(stream: ObjectStream[bytes], side: str) -> None:
        chance, digest = random.Random(f"{seed} {side}"), hashlib.sha256()
        for _ in range(60):
            chunk = chance.randbytes(chance.choice((0, 1, 100, 65_536, MIB, 3 * MIB)))
            digest.update(chunk)
            await stream.send(chunk)
            if chance.random() < 0.2:
                await anyio.sleep(0.001)  # a pause in what is sent is part of the case
        await stream.send_eof()
        sent[side] = digest.hexdigest()

    async def receive(stream: ObjectStream[bytes], side: str) -> None:
        digest = hashlib.sha256()
        async for chunk in stream:
            digest.update(chunk)
        received[side] = digest.hexdigest()

    async with (
        both_ends(lab, f"exact-{seed}") as (exporter, client),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(send, client, "up")
        tasks.start_soon(send, exporter, "down")
        tasks.start_soon(receive, exporter, "up")
        tasks.start_soon(receive, client, "down")
    assert received == sent
    await no_calls(lab)


async def test_half_close_leaves_the_other_direction_open(lab: Lab):
    async with both_ends(lab, "half") as (exporter, client):
        await client.send_eof()
        with pytest.raises(EndOfStream):
            await exporter.receive()
        for number in range(3):
            await exporter.send(b"answer %d" % number)
            assert await client.receive() == b"answer %d" % number
        await exporter.send_eof()
        with pytest.raises(EndOfStream):
            await client.receive()


async def test_many_tunnels_at_once_do_not_mix(lab: Lab):
    async def converse(number: int) -> None:
        async with both_ends(lab, f"many-{number}") as (exporter, client):
            for turn in range(5):
                await client.send(b"%d/%d" % (number, turn))
                assert await exporter.receive() == b"%d/%d" % (number, turn)
                await exporter.send(b"re %d/%d" % (number, turn))
                assert await client.receive() == b"re %d/%d" % (number, turn)
            await client.send_eof()
            await exporter.send_eof()

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(converse, number)
    await no_calls(lab)


async def test_a_side_that_vanishes_breaks_the_other(lab: Lab):
    met = anyio.Event()

    async def vanish() -> None:
        async with tunnel(lab, lab.signer.token("vanish")) as client:
            await client.send(b"last words")
            await met.wait()
            raise ZeroDivisionError

    async def stay() -> None:
        async with tunnel(lab, lab.signer.token("vanish")) as exporter:
            assert await exporter.receive() == b"last words"
            met.set()
            await anyio.sleep_forever()

    async def break_off() -> None:
        with pytest.raises(BrokenResourceError, match="ABORTED: the other side left"):
            await stay()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(break_off)
        with pytest.raises(ZeroDivisionError):
            await vanish()


async def test_an_exporter_that_gives_up_before_anybody_comes_leaves_nothing_behind(lab: Lab):
    """As after a Dial by which a client only asked whether the exporter is there."""

    async def give_up() -> None:
        async with tunnel(lab, lab.signer.token("probe")) as exporter:
            # Its server speaks first.
            await exporter.send(b"settings")
            await exporter.send_eof()

    with pytest.raises(BrokenResourceError, match="before anybody came"):
        await give_up()
    await no_calls(lab)
