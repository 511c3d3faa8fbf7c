"""Marks: which kind of function gets which, and how marks and other decorators go together."""

import functools
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager

import pytest
from anyio.abc import ObjectStream
from pydantic import validate_call

from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.driver.decorators import (
    MARKER_DRIVERCALL,
    MARKER_MAGIC,
    MARKER_STREAMCALL,
    MARKER_STREAMING_DRIVERCALL,
    has_marker,
)
from jumpstarter.local import serve
from jumpstarter.model.errors import DriverInvalidArgument, DriverMethodNotImplemented
from jumpstarter.streams.memory import create_memory_stream

MARKERS = [MARKER_DRIVERCALL, MARKER_STREAMCALL, MARKER_STREAMING_DRIVERCALL]


def plain() -> None: ...


async def coroutine() -> None: ...


def generator() -> Generator[int, None, None]:
    yield 1


async def async_generator() -> AsyncGenerator[int, None]:
    yield 1


def wrapped(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def wrapper(*args: object) -> object:
        return function(*args)

    return wrapper


def marks(function: object) -> list[str]:
    return [marker for marker in MARKERS if has_marker(function, marker)]


def test_marks_are_those_of_release_090():
    assert [MARKER_MAGIC, *MARKERS] == [
        "07c9b9cc",
        "marker_drivercall",
        "marker_streamcall",
        "marker_streamingdrivercall",
    ]


@pytest.mark.parametrize(
    ("function", "mark"),
    [
        (plain, MARKER_DRIVERCALL),
        (coroutine, MARKER_DRIVERCALL),
        (validate_call(coroutine), MARKER_DRIVERCALL),
        (wrapped(plain), MARKER_DRIVERCALL),
        (generator, MARKER_STREAMING_DRIVERCALL),
        (async_generator, MARKER_STREAMING_DRIVERCALL),
    ],
)
def test_kind_of_function_decides_about_the_mark(function: Callable[..., object], mark: str):
    assert marks(function) == []
    try:
        assert export(function) is function
        assert marks(function) == [mark]
        assert getattr(function, mark) == "07c9b9cc"
    finally:
        delattr(function, mark)


def test_stream_mark_can_be_put_on_anything():
    opened = asynccontextmanager(async_generator)
    assert exportstream(opened) is opened
    assert marks(opened) == [MARKER_STREAMCALL]


def test_function_can_be_marked_twice():
    def both() -> None: ...

    assert exportstream(export(export(both))) is both
    assert marks(both) == [MARKER_DRIVERCALL, MARKER_STREAMCALL]


def test_attribute_of_the_same_name_is_no_mark():
    def function() -> None: ...

    vars(function)[MARKER_DRIVERCALL] = True
    assert marks(function) == []


@pytest.mark.parametrize("thing", [3, "on", object(), property(lambda _: 1), int])
def test_what_is_no_function_cannot_be_exported(thing: Callable[..., object]):
    with pytest.raises(ValueError, match="is not a function or generator function"):
        export(thing)


class Adder(Driver):
    """Methods under pydantic's validation and behind decorators of others."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    @validate_call
    def add(self, a: int, b: int = 1) -> int:
        return a + b

    @export
    @validate_call
    async def add_async(self, a: int, b: int = 1) -> int:
        return a + b

    @export
    @validate_call(validate_return=True)
    def lie(self) -> int:
        return "no number"  # pyright: ignore[reportReturnType] - what is to be refused

    @export
    @wrapped
    def behind(self, text: str) -> str:
        return text.upper()

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[ObjectStream[bytes]]:
        here, there = create_memory_stream()
        async with here, there:
            await there.send(b"hello")
            yield here

    @export
    def replaced(self) -> str:
        return "exported"


class Overrides(Adder):
    """Overrides an exported method, and does not export it."""

    def replaced(self) -> str:
        return "not exported"


class ExportsAgain(Overrides):
    """Overrides once more, and exports it."""

    @export
    def replaced(self) -> str:
        return super().replaced()


@pytest.mark.parametrize("method", ["add", "add_async"])
def test_validated_methods_convert_and_have_defaults(method: str):
    with serve(Adder()) as client:
        assert client.call(method, 2, "3") == 5
        assert client.call(method, 2) == 3


@pytest.mark.parametrize("method", ["add", "add_async"])
def test_validation_refuses_for_the_caller(method: str):
    with serve(Adder()) as client, pytest.raises(DriverInvalidArgument, match="valid integer"):
        client.call(method, "two")


def test_validated_result_refuses_for_the_caller():
    with serve(Adder()) as client, pytest.raises(DriverInvalidArgument, match="valid integer"):
        client.call("lie")


def test_decorators_of_others_keep_working():
    with serve(Adder()) as client:
        assert client.call("behind", "x") == "X"
        with client.stream() as stream:
            assert stream.receive() == b"hello"


def test_override_without_export_cannot_be_called():
    with serve(Overrides()) as client:
        with pytest.raises(DriverMethodNotImplemented, match="missing marker marker_drivercall"):
            client.call("replaced")
        assert client.call("add", 1) == 2


def test_override_can_be_exported_again():
    with serve(ExportsAgain()) as client:
        assert client.call("replaced") == "not exported"
