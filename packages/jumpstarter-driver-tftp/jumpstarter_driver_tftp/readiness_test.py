"""Sockets that are watched: each that has something to read is told, and no other."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import anyio
import pytest

from jumpstarter_driver_tftp.conftest import PATIENCE
from jumpstarter_driver_tftp.readiness import LoopReaders, Readiness, watching


@contextmanager
def loop_readers() -> Generator[Readiness]:
    yield LoopReaders()


@pytest.fixture(params=[watching, loop_readers])
async def readiness(request: pytest.FixtureRequest) -> AsyncGenerator[Readiness]:
    begin: Callable[[], AbstractContextManager[Readiness]] = request.param
    with begin() as readiness:
        yield readiness


@pytest.fixture
def pairs() -> Generator[list[tuple[socket.socket, socket.socket]]]:
    with ExitStack() as stack:
        made = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(100)]
        for near, far in made:
            stack.enter_context(near).settimeout(0)
            stack.enter_context(far)
        yield made


async def test_all_that_are_ready_are_told(
    readiness: Readiness, pairs: list[tuple[socket.socket, socket.socket]]
):
    told: set[int] = set()
    done = anyio.Event()
    for number, (near, far) in enumerate(pairs):

        def tell(number: int = number, near: socket.socket = near) -> None:
            near.recv(10)
            told.add(number)
            if len(told) == len(pairs):
                done.set()

        readiness.add(near.fileno(), tell)
        far.send(b"x")
    with anyio.fail_after(PATIENCE):
        await done.wait()
    for near, _ in pairs:
        readiness.remove(near.fileno())


async def test_who_becomes_ready_meanwhile_is_told_in_the_same_turn(
    pairs: list[tuple[socket.socket, socket.socket]],
):
    (near, far), (other_near, other_far) = pairs[:2]
    told: list[str] = []
    turns: list[str] = []
    done = anyio.Event()

    def tell() -> None:
        told.append(near.recv(10).decode())
        asyncio.get_running_loop().call_soon(turns.append, "next")
        other_far.send(b"second")

    def tell_other() -> None:
        told.append(other_near.recv(10).decode())
        assert not turns
        done.set()

    with watching() as readiness:
        readiness.add(near.fileno(), tell)
        readiness.add(other_near.fileno(), tell_other)
        far.send(b"first")
        with anyio.fail_after(PATIENCE):
            await done.wait()
        for sock in (near, other_near):
            readiness.remove(sock.fileno())
    assert told == ["first", "second"]


async def test_others_get_their_turn_while_somebody_is_always_ready(
    readiness: Readiness, pairs: list[tuple[socket.socket, socket.socket]]
):
    near, far = pairs[0]
    done = anyio.Event()

    def tell() -> None:
        asyncio.get_running_loop().call_soon(done.set)  # and never read what is there

    readiness.add(near.fileno(), tell)
    far.send(b"x")
    with anyio.fail_after(PATIENCE):
        await done.wait()
    readiness.remove(near.fileno())


async def test_who_was_removed_is_not_told_any_more(
    readiness: Readiness, pairs: list[tuple[socket.socket, socket.socket]]
):
    told: list[int] = []
    both = pairs[:2]
    done = anyio.Event()

    def tell(number: int) -> None:
        # Whoever is first ends the other one, which is just as ready.
        told.append(number)
        both[number][0].recv(10)
        readiness.remove(both[1 - number][0].fileno())
        done.set()

    for number, (near, far) in enumerate(both):
        readiness.add(near.fileno(), lambda number=number: tell(number))
        far.send(b"x")
    with anyio.fail_after(PATIENCE):
        await done.wait()
    await anyio.lowlevel.checkpoint()
    await anyio.lowlevel.checkpoint()
    assert len(told) == 1
    readiness.remove(both[told[0]][0].fileno())
