"""Sockets that are watched: each that has something to read is told, and no other."""

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
