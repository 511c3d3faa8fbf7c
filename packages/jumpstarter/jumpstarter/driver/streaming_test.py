"""Streaming calls that reach a driver: what arrives, and that leaving early stops the generator."""

import itertools
import threading
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass

import anyio
import pytest

from jumpstarter.client import DriverClient
from jumpstarter.driver import Driver, export
from jumpstarter.local import serve
from jumpstarter.model.errors import DriverError, DriverInvalidArgument, DriverMethodNotImplemented

BOTH = pytest.mark.parametrize("kind", ["plain", "coroutine"])
MANY = 1000
"""More items than either end holds back for the other."""


class Counter(Driver):
    """Generators of both kinds; `stopped` is set when one of them has been left."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.started = threading.Event()
        self.stopped = threading.Event()

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def plain(self) -> Generator[int, None, None]:
        self.started.set()
        try:
            yield from itertools.count()
        finally:
            self.stopped.set()

    @export
    async def coroutine(self) -> AsyncGenerator[int, None]:
        self.started.set()
        try:
            for number in itertools.count():
                yield number
        finally:
            # The generator may take its time to clean up.
            await anyio.lowlevel.checkpoint()
            self.stopped.set()

    @export
    def plain_limited(self, count: int, error: str = "") -> Generator[object, None, None]:
        yield from range(count)
        if error:
            yield self._fail(error)

    @export
    async def coroutine_limited(self, count: int, error: str = "") -> AsyncGenerator[object, None]:
        for number in range(count):
            yield number
        if error:
            yield self._fail(error)

    @export
    async def coroutine_silent(self) -> AsyncGenerator[int, None]:
        yield 0
        try:
            await anyio.sleep_forever()
        finally:
            self.stopped.set()

    @export
    def unary(self) -> int:
        return 1

    def _fail(self, error: str) -> object:
        match error:
            case "value":
                message = "no more"
                raise ValueError(message)
            case "unimplemented":
                raise NotImplementedError
            case "stop":
                raise StopIteration
            case _:
                return object()


@dataclass
class Served:
    """A driver, and a client of it."""

    driver: Counter
    client: DriverClient


@pytest.fixture
def served() -> Generator[Served]:
    driver = Counter()
    with serve(driver) as client:
        yield Served(driver, client)


@BOTH
@pytest.mark.parametrize("count", [0, 1, MANY])
def test_all_items_arrive_in_order(served: Served, kind: str, count: int):
    assert list(served.client.streamingcall(f"{kind}_limited", count)) == list(range(count))


@BOTH
@pytest.mark.parametrize(
    ("error", "raised", "what"),
    [
        ("value", DriverInvalidArgument, "^no more$"),
        ("unimplemented", DriverMethodNotImplemented, "^NotImplementedError$"),
        ("stop", DriverError, "raised StopIteration$"),
        ("encoding", DriverError, r"^result of \w+_limited: object cannot be sent"),
    ],
)
@pytest.mark.parametrize("count", [0, MANY])
def test_items_before_an_error_arrive_first(
    served: Served, kind: str, error: str, raised: type[DriverError], what: str, count: int
):
    items = served.client.streamingcall(f"{kind}_limited", count, error)
    assert list(itertools.islice(items, count)) == list(range(count))
    with pytest.raises(raised, match=what):
        next(items)
    assert list(items) == []


@BOTH
def test_nothing_runs_before_the_first_item_is_asked_for(served: Served, kind: str):
    items = served.client.streamingcall(kind)
    items.close()
    assert not served.driver.started.is_set()
    items = served.client.streamingcall(kind)
    assert next(items) == 0
    items.close()


@BOTH
@pytest.mark.parametrize("read", [1, MANY])
def test_closing_early_stops_the_generator(served: Served, kind: str, read: int):
    items = served.client.streamingcall(kind)
    assert list(itertools.islice(items, read)) == list(range(read))
    items.close()
    assert served.driver.stopped.wait(5)
    assert served.client.call("unary") == 1


@BOTH
def test_forgetting_the_iterator_stops_the_generator(served: Served, kind: str):
    for number in served.client.streamingcall(kind):
        if number == 3:
            break
    assert served.driver.stopped.wait(5)


@BOTH
def test_leaving_the_session_stops_the_generator(kind: str):
    driver = Counter()
    with serve(driver) as client:
        items = client.streamingcall(kind)
        next(items)
    assert driver.stopped.wait(5)
    with pytest.raises(DriverError, match="the session ended before the call did"):
        list(items)


def test_closing_stops_a_generator_that_is_silent(served: Served):
    items = served.client.streamingcall("coroutine_silent")
    assert next(items) == 0
    items.close()
    assert served.driver.stopped.wait(5)


@BOTH
def test_several_streams_at_once(served: Served, kind: str):
    streams = [served.client.streamingcall(kind) for _ in range(5)]
    assert list(zip(*(itertools.islice(stream, 3) for stream in streams), strict=True)) == [
        (number,) * 5 for number in range(3)
    ]
    for stream in streams:
        stream.close()


def test_unary_method_cannot_be_streamed(served: Served):
    with pytest.raises(DriverError, match="missing marker marker_streamingdrivercall") as caught:
        list(served.client.streamingcall("unary"))
    assert caught.type is DriverError


@BOTH
def test_generator_cannot_be_called(served: Served, kind: str):
    with pytest.raises(DriverMethodNotImplemented, match="missing marker marker_drivercall"):
        served.client.call(kind)
