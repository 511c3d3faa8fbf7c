"""Tells of many sockets which have something to read, for less than a loop asks for each of them.

Most transfers are a few packets long, so what it costs to begin to watch two sockets and to stop
again counts. Linux watches them in a set (epoll(7)) that is itself one thing to watch for the loop.
"""

import asyncio
import select
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol

_AT_ONCE = 64
"""How many sockets are served before others of the loop get their turn."""


class Readiness(Protocol):
    """Calls functions when there is something to read."""

    def add(self, descriptor: int, call: Callable[[], object]) -> None:
        """Call `call` whenever there is something to read, until `remove`."""
        ...

    def remove(self, descriptor: int) -> None:
        """Call nobody for this descriptor any more; to be done before it is closed."""
        ...


class LoopReaders:
    """What any loop offers."""

    def __init__(self) -> None:
        """Use the running loop."""
        self._loop = asyncio.get_running_loop()

    def add(self, descriptor: int, call: Callable[[], object]) -> None:
        """Call `call` whenever there is something to read, until `remove`."""
        self._loop.add_reader(descriptor, call)

    def remove(self, descriptor: int) -> None:
        """Call nobody for this descriptor any more; to be done before it is closed."""
        self._loop.remove_reader(descriptor)


class EpollSet:
    """A set of descriptors that the kernel watches."""

    def __init__(self, epoll: "select.epoll") -> None:
        """Use `epoll`, which stays its owner's."""
        self._epoll = epoll
        self._calls: dict[int, Callable[[], object]] = {}

    def add(self, descriptor: int, call: Callable[[], object]) -> None:
        """Call `call` whenever there is something to read, until `remove`."""
        self._epoll.register(descriptor, select.EPOLLIN)
        self._calls[descriptor] = call

    def remove(self, descriptor: int) -> None:
        """Call nobody for this descriptor any more; to be done before it is closed."""
        self._epoll.unregister(descriptor)
        del self._calls[descriptor]

    def serve(self) -> None:
        """Call for each descriptor that is ready now, or is when those are done."""
        left = _AT_ONCE
        while left > 0 and (ready := self._epoll.poll(0, left)):
            left -= len(ready)
            for descriptor, _ in ready:
                # One of those before may have ended this one.
                call = self._calls.get(descriptor)
                if call is not None:
                    call()


@contextmanager
def watching() -> Generator[Readiness]:
    """Watch sockets in the running loop, as long as the context lasts."""
    if sys.platform != "linux":
        yield LoopReaders()
        return
    loop = asyncio.get_running_loop()
    with select.epoll() as epoll:
        watched = EpollSet(epoll)
        loop.add_reader(epoll.fileno(), watched.serve)
        try:
            yield watched
        finally:
            loop.remove_reader(epoll.fileno())
