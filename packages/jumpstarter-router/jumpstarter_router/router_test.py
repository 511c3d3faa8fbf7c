"""A router that runs, and callers with bare calls: what passes, and how calls end."""

import hashlib
import random
import threading
import time
from dataclasses import dataclass

import anyio
import grpc
import pytest
from grpc import StatusCode
from grpc.aio import EOF

from jumpstarter_router.conftest import (
    PATIENCE,
    Clock,
    Lab,
    OpenLab,
    RawCall,
    no_calls,
    raw_call,
    read,
    status,
)

KIB, MIB = 1 << 10, 1 << 20
CROWD = 2500
"""Callers at once."""


@dataclass
class StoppedClock:
    """A time that goes on by hand alone."""

    now: float

    def __call__(self) -> float:
        return self.now


async def test_messages_pass_as_they_are(lab: Lab):
    """Also empty ones, and such as are no frames."""
    messages = [b"\x0a\x01x", b"", b"\xff\x00 no frame", b"\x0a\x03abc\x10\x07", bytes(MIB)]
    async with lab.pair() as (exporter, client):
        for message in messages:
            await client.write(message)
        assert [await read(exporter) for _ in messages] == messages
        for message in reversed(messages):
            await exporter.write(message)
        assert [await read(client) for _ in messages] == messages[::-1]


async def test_a_crowd_that_comes_at_once_is_let_in(open_lab: OpenLab):
    """As after a restart: gRPC would turn callers away at random when a thousand wait."""
    everybody_is_here = threading.Event()

    def clock() -> float:
        everybody_is_here.wait(PATIENCE)
        return time.time()

    async with open_lab(clock) as lab, lab.channel() as channel:
        calls = [raw_call(channel, lab.signer.token()) for _ in range(CROWD)]
        for call in calls:
            await call.wait_for_connection()
        everybody_is_here.set()
        with anyio.fail_after(PATIENCE):
            for call in calls:
                await call.initial_metadata()
        assert not any(call.done() for call in calls)
        for call in calls:
            call.cancel()


async def test_a_stream_of_random_messages_arrives_whole_both_ways(lab: Lab):
    received: dict[str, str] = {}
    sent: dict[str, str] = {}

    async def send(call: RawCall, side: str) -> None:
        chance, digest = random.Random(side), hashlib.sha256()
        for _ in range(600):
            message = chance.randbytes(chance.choice((0, 1, 20, 4 * KIB, 64 * KIB, 300 * KIB)))
            digest.update(b"%d;" % len(message) + message)
            await call.write(message)
            if chance.random() < 0.02:
                await anyio.lowlevel.checkpoint()
        await call.done_writing()
        sent[side] = digest.hexdigest()

    async def receive(call: RawCall, side: str) -> None:
        digest = hashlib.sha256()
        for _ in range(600):
            message = await read(call)
            digest.update(b"%d;" % len(message) + message)
        received[side] = digest.hexdigest()

    async with lab.pair() as (exporter, client), anyio.create_task_group() as tasks:
        tasks.start_soon(send, client, "up")
        tasks.start_soon(send, exporter, "down")
        tasks.start_soon(receive, exporter, "up")
        tasks.start_soon(receive, client, "down")
    assert received == sent
    assert len(set(sent.values())) == 2


async def test_what_the_first_side_sends_before_the_second_comes_is_kept(lab: Lab):
    messages = [b"%d" % number for number in range(200)]
    token = lab.signer.token("early")
    async with lab.call(token) as first, anyio.create_task_group() as tasks:

        async def send() -> None:
            for message in messages:
                await first.write(message)

        tasks.start_soon(send)
        await first.initial_metadata()
        async with lab.call(token) as second:
            assert [await read(second) for _ in messages] == messages


async def test_half_close_leaves_the_other_direction_open(lab: Lab):
    async with lab.pair() as (exporter, client):
        await client.write(b"question")
        await client.done_writing()
        assert await read(exporter) == b"question"
        for number in range(3):
            await exporter.write(b"answer %d" % number)
            assert await read(client) == b"answer %d" % number
        assert not exporter.done()
        assert not client.done()
        await exporter.done_writing()
        assert await client.read() is EOF
        assert await exporter.read() is EOF
        assert (await status(client), await status(exporter)) == ((StatusCode.OK, ""),) * 2


@pytest.mark.parametrize("leaver", [0, 1], ids=["the first", "the second"])
async def test_a_side_that_breaks_off_breaks_the_other(lab: Lab, leaver: int):
    async with lab.pair() as calls:
        await calls[leaver].write(b"last words")
        assert await read(calls[1 - leaver]) == b"last words"
        calls[leaver].cancel()
        assert await status(calls[1 - leaver]) == (StatusCode.ABORTED, "the other side left")


async def test_what_a_break_cut_short_ends_with_a_failure(lab: Lab):
    """However much of it arrives, and though the one that broke had said that it was done."""
    messages = [b"%d" % number for number in range(50)]
    async with lab.pair() as (exporter, client):
        for message in messages:
            await client.write(message)
        await client.done_writing()
        client.cancel()
        got: list[bytes] = []

        async def read_on() -> None:
            while len(got) <= len(messages):
                got.append(await read(exporter))

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_on()
    assert got == messages[: len(got)]
    assert caught.value.code() is StatusCode.ABORTED


async def test_a_side_that_leaves_after_both_have_finished_breaks_nothing(lab: Lab):
    async with lab.pair() as (exporter, client):
        await client.done_writing()
        await exporter.write(b"the end")
        assert await read(client) == b"the end"
        await exporter.done_writing()
        assert await status(exporter) == (StatusCode.OK, "")


async def test_a_break_after_a_half_close_is_no_orderly_end(lab: Lab):
    """The side that stays must not take what it got for all there was."""
    async with lab.pair() as (exporter, client):
        await client.done_writing()
        await exporter.write(b"half of it")
        assert await read(client) == b"half of it"
        exporter.cancel()
        assert (await status(client))[0] is StatusCode.ABORTED


async def test_a_message_over_the_limit_is_refused_with_a_status(lab: Lab):
    async with lab.pair() as (exporter, client):
        await client.write(bytes(5 * MIB))
        assert (await status(client))[0] is StatusCode.RESOURCE_EXHAUSTED
        assert (await status(exporter))[0] is StatusCode.ABORTED


async def test_a_reader_that_stops_stops_the_writer(lab: Lab):
    """And it stops nothing else: neither the other direction nor other streams."""
    sent, total = 0, 64
    moved = anyio.Event()

    async def send(call: RawCall) -> None:
        nonlocal sent, moved
        for number in range(total):
            await call.write(b"%d" % number + bytes(MIB))
            sent += 1
            moved.set()
            moved = anyio.Event()

    async with lab.pair() as (exporter, client), anyio.create_task_group() as tasks:
        tasks.start_soon(send, client)
        stopped = False
        while not stopped:
            # Nothing tells that a write will not be finished.
            with anyio.move_on_after(1.0) as scope:
                await moved.wait()
            stopped = scope.cancelled_caught
        # Two windows, two messages at the router, and buffers of the system.
        assert 2 <= sent <= 24
        await exporter.write(b"other direction")
        assert await read(client) == b"other direction"
        async with lab.pair(lease="another") as (exporter_two, client_two):
            await client_two.write(b"other stream")
            assert await read(exporter_two) == b"other stream"
        for number in range(total):
            assert await read(exporter) == b"%d" % number + bytes(MIB)


async def test_a_writer_that_nobody_has_met_is_stopped(lab: Lab):
    sent = 0
    moved = anyio.Event()

    async def send(call: RawCall) -> None:
        nonlocal sent, moved
        while True:
            await call.write(bytes(64 * KIB))
            sent += 1
            moved.set()
            moved = anyio.Event()

    async with lab.call() as call, anyio.create_task_group() as tasks:
        tasks.start_soon(send, call)
        stopped = False
        while not stopped:
            with anyio.move_on_after(1.0) as scope:
                await moved.wait()
            stopped = scope.cancelled_caught
        assert sent * 64 * KIB < 12 * MIB
        tasks.cancel_scope.cancel()


async def test_streams_of_other_tokens_are_kept_apart(lab: Lab):
    async with lab.pair() as (exporter_one, client_one), lab.pair() as (exporter_two, client_two):
        await client_one.write(b"one")
        await client_two.write(b"two")
        assert await read(exporter_two) == b"two"
        assert await read(exporter_one) == b"one"


async def test_a_third_caller_with_the_token_is_a_new_first(lab: Lab):
    token = lab.signer.token("thrice")
    async with lab.call(token) as first, lab.call(token) as second:
        await first.write(b"to the second")
        assert await read(second) == b"to the second"
        async with lab.call(token) as third:
            await third.initial_metadata()
            assert (lab.router.streams, lab.router.waiting) == (3, 1)
            async with lab.call(token) as fourth:
                await third.write(b"to the fourth")
                assert await read(fourth) == b"to the fourth"
                await second.write(b"to the first")
                assert await read(first) == b"to the first"


async def test_two_of_the_same_side_do_not_meet(lab: Lab):
    """A client that comes again would meet what it left behind."""
    async with lab.call(lab.signer.token("s", side="client")) as ghost:
        await ghost.initial_metadata()
        async with lab.call(lab.signer.token("s", side="client")) as client:
            await client.initial_metadata()
            assert lab.router.waiting == 2
            async with lab.call(lab.signer.token("s", side="exporter")) as exporter:
                await exporter.initial_metadata()
                assert lab.router.waiting == 1


async def test_one_that_nobody_met_ends_when_it_half_closes(lab: Lab):
    async with lab.call() as call:
        for _ in range(10):
            await call.write(b"\x0a\x02hi")
        await call.write(b"\x10\x07")
        await call.done_writing()
        assert (await status(call))[0] is StatusCode.ABORTED
    await no_calls(lab)


async def test_one_that_nobody_met_is_forgotten_when_it_leaves(lab: Lab):
    async with lab.call(lab.signer.token("gone")) as call:
        await call.initial_metadata()
        assert lab.router.waiting == 1
    await no_calls(lab)
    async with lab.call(lab.signer.token("gone")) as call:
        await call.initial_metadata()
        assert lab.router.waiting == 1


async def test_one_that_nobody_met_ends_with_its_token(open_lab: OpenLab):
    clock = StoppedClock(time.time())
    expires = int(clock.now) + 1800
    async with open_lab(clock) as lab, lab.call(lab.signer.token("late", exp=expires)) as call:
        await call.initial_metadata()
        clock.now = expires - 0.001
        with anyio.move_on_after(0.1):
            await call.code()
        assert not call.done()
        clock.now = expires
        code, text = await status(call)
        assert code is StatusCode.DEADLINE_EXCEEDED
        assert "expired" not in text


async def test_a_pair_outlives_its_token(open_lab: OpenLab):
    clock = Clock()
    async with open_lab(clock) as lab, lab.pair() as (exporter, client):
        clock.ahead = 4000.0
        async with lab.call(lab.signer.token()) as late:
            assert await status(late) == (StatusCode.UNAUTHENTICATED, "token is expired")
        await client.write(b"still here")
        assert await read(exporter) == b"still here"


async def test_calls_over_one_connection_meet_too(lab: Lab):
    token = lab.signer.token("one-connection")
    async with lab.channel() as channel:
        first, second = raw_call(channel, token), raw_call(channel, token)
        await first.write(b"hello")
        assert await read(second) == b"hello"
        first.cancel()
        second.cancel()


async def test_a_method_that_is_not_there_is_refused(lab: Lab):
    async with lab.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/jumpstarter.v1.RouterService/Nothing")(b"")
    assert caught.value.code() is StatusCode.UNIMPLEMENTED
