"""Driver clients: the ways to declare them, calls and streams from any thread, and closing."""

import dataclasses
import gc
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import field
from typing import Any

import anyio
import pytest
from anyio.abc import ObjectStream
from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from jumpstarter.client import DriverClient
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.local import serve
from jumpstarter.streams.memory import create_memory_stream

FORGET = """
from jumpstarter.driver import Driver, exportstream
from jumpstarter.client import DriverClient
from jumpstarter.local import serve
from jumpstarter.streams.memory import create_memory_stream
from contextlib import asynccontextmanager

class Streams(Driver):
    @classmethod
    def client(cls):
        return "jumpstarter.client.DriverClient"

    @exportstream
    @asynccontextmanager
    async def connect(self):
        here, there = create_memory_stream()
        async with here, there:
            yield here

with serve(Streams(children={"child": Streams()})) as client:
    client.children["child"].open_stream()
    client.open_stream()
print("left")
"""


class Streams(Driver):
    """Has two streams: one answers, and one only says its name."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.closed = threading.Event()

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[ObjectStream[bytes]]:
        here, there = create_memory_stream()

        async def echo() -> None:
            async for chunk in there:
                await there.send(chunk.upper())
            await there.send_eof()

        try:
            async with here, there, anyio.create_task_group() as tasks:
                tasks.start_soon(echo)
                yield here
                tasks.cancel_scope.cancel()
        finally:
            self.closed.set()

    @exportstream
    @asynccontextmanager
    async def other(self) -> AsyncGenerator[ObjectStream[bytes]]:
        here, there = create_memory_stream()
        async with here, there:
            await there.send(b"other")
            await there.send_eof()
            yield here

    @export
    def add(self, a: int, b: int) -> int:
        return a + b


class Undecorated(DriverClient):
    """Has the constructor of its base."""


@dataclasses.dataclass(kw_only=True)
class Standard(DriverClient):
    """Has fields of its own."""

    speed: int = 9600
    seen: list[str] = field(init=False, default_factory=list[str])

    def __post_init__(self) -> None:
        if hasattr(super(), "__post_init__"):
            super().__post_init__()
        self.seen.append(self.logger.name)


@dataclasses.dataclass
class Plain(DriverClient):
    """Decorated without `kw_only`."""

    speed: int = 9600


@pydantic_dataclass(kw_only=True)
class Pydantic(DriverClient):
    """Checks what it is given."""

    speed: int = 9600


@pydantic_dataclass(kw_only=True, config=ConfigDict(arbitrary_types_allowed=True))
class Configured(Standard):
    """Checks what it is given, below a standard dataclass."""

    thing: threading.Event | None = None


@pytest.fixture
def driver() -> Streams:
    return Streams()


@pytest.fixture
def client(driver: Streams) -> Generator[DriverClient]:
    with serve(driver) as client:
        yield client


@pytest.mark.parametrize("kind", [Undecorated, Standard, Plain, Pydantic, Configured])
def test_every_kind_of_client_can_be_made(client: DriverClient, kind: type[Any]):
    with ExitStack() as stack:
        made = kind(
            uuid=client.uuid,
            labels={"jumpstarter.dev/name": "made"},
            stub=client.stub,
            portal=client.portal,
            stack=stack,
            children={"child": client},
            description="what it is",
            methods_description={"add": "adds"},
        )
        assert (made.name, made.description) == ("made", "what it is")
        assert made.children["child"] is client
        assert made.logger.name == kind.__name__
        assert made.call("add", 1, 2) == 3
        assert getattr(made, "speed", 9600) == 9600


@pytest.mark.parametrize("kind", [Undecorated, Standard, Plain, Pydantic, Configured])
def test_only_the_connection_is_required(client: DriverClient, kind: type[Any]):
    with ExitStack() as stack:
        made = kind(stub=None, portal=client.portal, stack=stack)
        assert (made.labels, made.children, made.methods_description) == ({}, {}, {})
        assert (made.description, made.log_level, made.name) == (None, "INFO", "unknown")
        assert made.uuid != client.uuid


@pytest.mark.parametrize("kind", [Pydantic, Configured])
def test_pydantic_clients_check_and_convert(client: DriverClient, kind: type[Any]):
    with ExitStack() as stack:
        assert kind(stub=None, portal=client.portal, stack=stack, speed="1").speed == 1
        with pytest.raises(ValidationError, match="BlockingPortal"):
            kind(stub=None, portal=None, stack=stack)
        with pytest.raises(ValidationError, match="children"):
            kind(stub=None, portal=client.portal, stack=stack, children={"a": 1})


@pytest.mark.parametrize("kind", [Undecorated, Standard, Plain])
def test_a_client_needs_a_connection(kind: type[Any]):
    with pytest.raises(TypeError, match="missing 3 required keyword-only arguments: 'stub', 'po"):
        kind()


def test_post_init_sees_the_logger(client: DriverClient):
    with ExitStack() as stack:
        made = Standard(stub=None, portal=client.portal, stack=stack)
    assert made.seen == ["Standard"]


def test_calls_from_many_threads(client: DriverClient):
    results: list[int] = []

    def call(number: int) -> None:
        results.append(client.call("add", number, 1))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(1, 11))


async def test_call_from_a_thread_with_a_loop_of_its_own(client: DriverClient):
    assert client.call("add", 1, 2) == 3


def test_call_in_the_thread_of_the_portal_is_refused(client: DriverClient):
    async def call() -> None:
        client.call("add", 1, 2)

    with pytest.raises(RuntimeError, match="cannot be called from the event loop thread"):
        client.portal.call(call)


def test_asynchronous_call_on_the_loop_of_the_portal(client: DriverClient):
    assert client.portal.call(client.call_async, "add", 1, 2) == 3


def test_overridden_asynchronous_call_is_used_by_the_blocking_one(client: DriverClient):
    class Traced(DriverClient):
        async def call_async(self, method: str, *args: object) -> object:
            return (method, await super().call_async(method, *args))

    with ExitStack() as stack:
        traced = Traced(uuid=client.uuid, stub=client.stub, portal=client.portal, stack=stack)
        assert traced.call("add", 1, 2) == ("add", 3)


def test_stream_in_a_context(driver: Streams, client: DriverClient):
    with client.stream() as stream:
        stream.send(b"hello")
        assert stream.receive() == b"HELLO"
        assert not driver.closed.is_set()
        stream.send_eof()
        with pytest.raises(anyio.EndOfStream):
            stream.receive()
    assert driver.closed.wait(5)


def test_stream_by_name(client: DriverClient):
    with client.stream("other") as stream:
        assert stream.receive() == b"other"


def test_open_stream_stays_open_until_the_client_is_closed(driver: Streams, client: DriverClient):
    stream = client.open_stream()
    stream.send(b"hello")
    assert stream.receive() == b"HELLO"
    assert not driver.closed.is_set()
    client.close()
    assert driver.closed.wait(5)
    with pytest.raises((anyio.ClosedResourceError, anyio.BrokenResourceError)):
        stream.send(b"late")


def test_closing_can_be_repeated_and_calls_go_on(client: DriverClient):
    client.close()
    client.close()
    assert client.call("add", 1, 2) == 3


def test_streams_of_a_client_below_close_with_the_session(driver: Streams):
    with serve(Streams(children={"child": driver})) as client:
        client.children["child"].open_stream()
    assert driver.closed.wait(5)


@pytest.mark.parametrize("method", ["call", "streamingcall", "stream", "open_stream", "log_stream"])
def test_use_after_the_session_is_refused(method: str):
    with serve(Streams()) as client:
        pass
    with pytest.raises(RuntimeError, match=r"closed|not running"):
        use(client, method)


def use(client: DriverClient, method: str) -> None:
    match method:
        case "call":
            client.call("add", 1, 2)
        case "streamingcall":
            next(client.streamingcall("add"))
        case "open_stream":
            client.open_stream()
        case _:
            with getattr(client, method)():
                pass


def test_forgotten_clients_say_nothing():
    done = subprocess.run(
        [sys.executable, "-c", FORGET], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")


def test_a_client_forgotten_after_its_portal_says_nothing(driver: Streams):
    made: list[DriverClient] = []

    def fail() -> None:
        with serve(driver) as client:
            made.append(
                DriverClient(
                    uuid=client.uuid, stub=client.stub, portal=client.portal, stack=ExitStack()
                )
            )
            made[0].open_stream()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    # An exception in `__del__` would fail this test as a warning.
    made.clear()
    gc.collect()


def test_an_unfinished_client_can_be_forgotten():
    DriverClient.__new__(DriverClient).__del__()
