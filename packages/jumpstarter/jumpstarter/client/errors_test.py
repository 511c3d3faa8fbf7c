"""What a driver raises and what its client raises then, for every kind of call."""

import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import grpc
import pytest
from anyio.abc import ObjectStream
from pydantic import BaseModel

from jumpstarter.client import DriverClient, client_from_path
from jumpstarter.client.errors import FailedCall
from jumpstarter.driver import Driver, export, exportstream
from jumpstarter.exporter import Session
from jumpstarter.local import serve
from jumpstarter.model import errors
from jumpstarter.model.errors import (
    DriverError,
    DriverInvalidArgument,
    DriverMethodNotImplemented,
    ExporterNotReady,
)
from jumpstarter.model.status import ExporterStatus
from jumpstarter.rpc.portal import open_portal
from jumpstarter.streams.memory import create_memory_stream


class Port(BaseModel):
    """Something that pydantic validates."""

    number: int


class OwnError(Exception):
    """An error that only the driver knows."""


def invalid_port() -> None:
    Port.model_validate({"number": "x"})


RAISES: dict[str, Callable[[], object] | BaseException] = {
    "not implemented": NotImplementedError("not on this board"),
    "bare not implemented": NotImplementedError(),
    "value": ValueError("no such port"),
    "pydantic": invalid_port,
    "unicode": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    "configuration": errors.ConfigurationError("wrong key"),
    "timeout": TimeoutError("took too long"),
    "connection refused": ConnectionRefusedError(111, "Connection refused"),
    "connection": ConnectionError("lost"),
    "our connection": errors.ConnectionError("ours"),
    "os": OSError(5, "Input/output error"),
    "file": FileNotFoundError(2, "No such file or directory", "/dev/absent"),
    "key": KeyError("absent"),
    "type": TypeError("3 is no text"),
    "runtime": RuntimeError("broken"),
    "own": OwnError("mine"),
    "bare": OwnError(),
    "no text": OwnError("file \udcff\nis bad"),
    "group": ExceptionGroup("several", [ValueError("a"), KeyError("b")]),
    "driver": DriverError("another driver's"),
}

Row = tuple[str, type[DriverError], str, bool]

TABLE: dict[str, Row] = {
    "not implemented": ("UNIMPLEMENTED", DriverMethodNotImplemented, "not on this board", False),
    "bare not implemented": (
        "UNIMPLEMENTED",
        DriverMethodNotImplemented,
        "NotImplementedError",
        False,
    ),
    "value": ("INVALID_ARGUMENT", DriverInvalidArgument, "no such port", False),
    "pydantic": ("INVALID_ARGUMENT", DriverInvalidArgument, "1 validation error for Port", False),
    "unicode": ("INVALID_ARGUMENT", DriverInvalidArgument, "'utf-8' codec can't decode", False),
    "configuration": ("INVALID_ARGUMENT", DriverInvalidArgument, "wrong key", False),
    "timeout": ("DEADLINE_EXCEEDED", DriverError, "took too long", True),
    "connection refused": ("UNAVAILABLE", DriverError, "[Errno 111] Connection refused", True),
    "connection": ("UNAVAILABLE", DriverError, "lost", True),
    "our connection": ("UNKNOWN", DriverError, "ours", False),
    "os": ("INTERNAL", DriverError, "[Errno 5] Input/output error", True),
    "file": ("INTERNAL", DriverError, "[Errno 2] No such file or directory: '/dev/absent'", True),
    "key": ("UNKNOWN", DriverError, "'absent'", False),
    "type": ("UNKNOWN", DriverError, "3 is no text", False),
    "runtime": ("UNKNOWN", DriverError, "broken", False),
    "own": ("UNKNOWN", DriverError, "mine", False),
    "bare": ("UNKNOWN", DriverError, "OwnError", False),
    "no text": ("UNKNOWN", DriverError, "file \\udcff\nis bad", False),
    "group": ("UNKNOWN", DriverError, "several (2 sub-exceptions)", False),
    "driver": ("UNKNOWN", DriverError, "another driver's", False),
}


class Fails(Driver):
    """Raises what it is asked for, in every way that a driver can be used."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.wanted = ""

    def fail(self) -> None:
        match RAISES[self.wanted]:
            case BaseException() as error:
                raise error
            case make:
                make()

    @export
    def plain(self) -> None:
        self.fail()

    @export
    async def coroutine(self) -> None:
        self.fail()

    @export
    def generator(self) -> Generator[int, None, None]:
        yield 1
        self.fail()

    @export
    async def async_generator(self) -> AsyncGenerator[int, None]:
        yield 1
        self.fail()

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[ObjectStream[bytes]]:
        self.fail()
        here, there = create_memory_stream()
        async with here, there:
            yield here


@dataclass
class Served:
    """A driver, and a client of it."""

    driver: Fails
    client: DriverClient


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    driver = Fails()
    with serve(driver) as client:
        yield Served(driver, client)


def check(error: DriverError, row: Row, prefix: str) -> None:
    code, kind, details, has_cause = row
    assert type(error) is kind
    assert error.message.startswith(f"{prefix}{details}")
    if not has_cause:
        assert error.__cause__ is None
        assert str(error) == error.message
        return
    cause = error.__cause__
    assert isinstance(cause, grpc.RpcError)
    assert code_of(cause) == code
    assert str(error).startswith(f"{error.message} (Caused by: ")


def code_of(error: FailedCall | grpc.RpcError) -> str:
    code: grpc.StatusCode = getattr(error, "code")()  # noqa: B009 - only the subclasses have it
    return code.name


def test_the_table_has_every_case():
    assert TABLE.keys() == RAISES.keys()


@pytest.mark.parametrize("method", ["plain", "coroutine"])
@pytest.mark.parametrize("case", TABLE)
def test_calls(served: Served, case: str, method: str):
    served.driver.wanted = case
    with pytest.raises(DriverError) as caught:
        served.client.call(method)
    check(caught.value, TABLE[case], f"DriverCall '{method}' failed with gRPC {TABLE[case][0]}: ")


@pytest.mark.parametrize("case", TABLE)
def test_asynchronous_calls(served: Served, case: str):
    served.driver.wanted = case
    with pytest.raises(DriverError) as caught:
        served.client.portal.call(served.client.call_async, "plain")
    check(caught.value, TABLE[case], f"DriverCall 'plain' failed with gRPC {TABLE[case][0]}: ")


@pytest.mark.parametrize("method", ["generator", "async_generator"])
@pytest.mark.parametrize("case", TABLE)
def test_streaming_calls(served: Served, case: str, method: str):
    served.driver.wanted = case
    items = served.client.streamingcall(method)
    assert next(items) == 1
    with pytest.raises(DriverError) as caught:
        next(items)
    check(caught.value, TABLE[case], "")


@pytest.mark.parametrize("case", TABLE)
def test_streams_that_cannot_be_opened(served: Served, case: str):
    served.driver.wanted = case
    with pytest.raises(DriverError) as caught:
        served.client.stream().__enter__()
    check(caught.value, TABLE[case], "")


def test_errors_are_also_builtin_ones(served: Served):
    served.driver.wanted = "value"
    with pytest.raises(ValueError, match="no such port"):
        served.client.call("plain")
    served.driver.wanted = "not implemented"
    with pytest.raises(NotImplementedError, match="not on this board"):
        served.client.call("plain")


def test_missing_method_of_a_call(served: Served):
    with pytest.raises(DriverMethodNotImplemented) as caught:
        served.client.call("absent")
    row = ("NOT_FOUND", DriverMethodNotImplemented, "method absent not found on driver", True)
    check(caught.value, row, "DriverCall 'absent' failed with gRPC NOT_FOUND: ")


def test_missing_method_of_a_streaming_call(served: Served):
    with pytest.raises(DriverError) as caught:
        next(served.client.streamingcall("absent"))
    check(caught.value, ("NOT_FOUND", DriverError, "method absent not found on driver", True), "")


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("absent", "method absent not found on driver"),
        ("plain", "method plain missing marker marker_streamcall"),
    ],
)
def test_missing_stream(served: Served, method: str, what: str):
    with pytest.raises(DriverError) as caught:
        served.client.stream(method).__enter__()
    check(caught.value, ("NOT_FOUND", DriverError, what, True), "")


@contextmanager
def connected(path: Path) -> Generator[DriverClient]:
    with open_portal() as portal, ExitStack() as stack:
        connection = client_from_path(path, portal, stack, [], unsafe=True)
        with portal.wrap_async_context_manager(connection) as client:
            yield client


def test_exporter_that_is_not_ready():
    refusal = ("FAILED_PRECONDITION", ExporterNotReady, "exporter status is AVAILABLE: ", False)
    with (
        Session(root_device=Fails()) as session,
        session.serve_unix() as path,
        connected(path) as client,
    ):
        uses: list[Callable[[], object]] = [
            lambda: client.call("plain"),
            lambda: next(client.streamingcall("generator")),
            lambda: client.stream().__enter__(),
        ]
        for use in uses:
            with pytest.raises(ExporterNotReady) as caught:
                use()
            check(caught.value, refusal, "")
        session.update_status(ExporterStatus.LEASE_READY)
        assert next(client.streamingcall("generator")) == 1


def test_exporter_that_ends_during_a_call():
    entered = threading.Event()

    class Waits(Fails):
        @export
        async def wait(self) -> None:
            entered.set()
            await anyio.sleep_forever()

    with Session(root_device=Waits()) as session, ExitStack() as serving:
        session.update_status(ExporterStatus.LEASE_READY)
        path = serving.enter_context(session.serve_unix())
        with connected(path) as client, ThreadPoolExecutor(1) as pool:
            call = pool.submit(client.call, "wait")
            assert entered.wait(5)
            serving.close()
            with pytest.raises(
                DriverError, match=r"^DriverCall 'wait' failed with gRPC "
            ) as caught:
                call.result(10)
    assert caught.type is DriverError
