"""Calls that reach a driver: where methods run, and what becomes of results and failures."""

import inspect
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from traceback import walk_stack
from uuid import uuid4

import pytest
from anyio import from_thread
from google.protobuf.struct_pb2 import Value
from jumpstarter_protocol import jumpstarter_pb2
from pydantic import BaseModel

from jumpstarter.client import DriverClient
from jumpstarter.driver import Driver, dispatch, export
from jumpstarter.driver.workers import Workers
from jumpstarter.local import serve
from jumpstarter.model.codes import ResultEncodingError
from jumpstarter.model.errors import DriverError, DriverMethodNotImplemented, MethodNotFoundError


class Reading(BaseModel):
    """A result that is a model."""

    volts: float


class Meeting(Driver):
    """Methods that wait for each other, so that a test sees which of them run together."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.barrier = threading.Barrier(2, timeout=5)
        self.released = threading.Event()

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def meet(self) -> int:
        self.barrier.wait()
        return threading.get_ident()

    @export
    def wait(self) -> bool:
        self.barrier.wait()
        return self.released.wait(5)

    @export
    async def release(self) -> int:
        self.released.set()
        return threading.get_ident()

    @export
    def is_in_worker(self) -> bool:
        here = inspect.currentframe()
        return any(isinstance(at.f_locals.get("self"), Workers) for at, _ in walk_stack(here))

    @export
    def on_the_loop(self) -> int:
        return from_thread.run(self.release)

    @export
    def echo(self, *values: object) -> list[object]:
        return list(values)

    @export
    def one(self, value: object, other: object = "default") -> object:
        return [value, other]

    @export
    def result(self, kind: str) -> object:
        return {
            "model": Reading(volts=5),
            "tuple": (1, None, True),
            "nan": float("nan"),
            "bytes": b"\xff",
            "object": object(),
            "inside": {"list": [0, float("inf")]},
            "lock": threading.Lock(),
        }[kind]


@dataclass
class Served:
    """A driver, and a client of it."""

    driver: Meeting
    client: DriverClient


@pytest.fixture
def served() -> Generator[Served]:
    driver = Meeting()
    with serve(driver) as client:
        yield Served(driver, client)


def test_plain_functions_run_in_threads_at_the_same_time(served: Served):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(served.client.call, ["meet", "meet"])
    assert first != second


def test_plain_functions_run_in_the_threads_of_the_session(served: Served):
    over_grpc = served.client.call_async
    assert served.client.portal.call(over_grpc, "is_in_worker") is True


def test_coroutines_run_on_one_loop_while_a_plain_function_blocks(served: Served):
    with ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(served.client.call, "wait")
        served.driver.barrier.wait()
        loop = served.client.call("release")
        assert blocked.result(5) is True
    assert served.client.call("release") == loop
    assert loop != threading.get_ident()


def test_plain_functions_reach_the_loop(served: Served):
    assert served.client.call("on_the_loop") == served.client.call("release")


def test_defaults_apply_to_what_is_left_out(served: Served):
    assert served.client.call("one", 1) == [1, "default"]
    assert served.client.call("one", 1, None) == [1, None]


@pytest.mark.parametrize("args", [(), (1, 2, 3)])
def test_wrong_number_of_arguments(served: Served, args: tuple[object, ...]):
    with pytest.raises(DriverError, match=r"'one' failed with gRPC UNKNOWN: .* argument") as caught:
        served.client.call("one", *args)
    assert caught.type is DriverError


@pytest.mark.parametrize(("kind", "seen"), [("model", {"volts": 5.0}), ("tuple", [1, None, True])])
def test_results_arrive_as_json_has_them(served: Served, kind: str, seen: object):
    assert served.client.call("result", kind) == seen


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("nan", "result of result: nan has no JSON form"),
        ("bytes", "result of result: 1 bytes that are not UTF-8"),
        ("object", "result of result: object cannot be sent"),
        ("lock", "result of result: lock cannot be sent"),
        ("inside", r"result of result\['list'\]\[1\]: inf has no JSON form"),
    ],
)
def test_result_that_cannot_be_carried_is_the_drivers_fault(served: Served, kind: str, what: str):
    with pytest.raises(
        DriverError, match=f"^DriverCall 'result' failed with gRPC INTERNAL: {what}"
    ) as caught:
        served.client.call("result", kind)
    assert caught.type is DriverError
    assert isinstance(caught.value.__cause__, Exception)


def test_missing_method(served: Served):
    with pytest.raises(DriverMethodNotImplemented, match="method absent not found on driver"):
        served.client.call("absent")


def test_unknown_driver(served: Served):
    served.client.uuid = uuid4()
    with pytest.raises(DriverError, match=f"no driver with uuid {served.client.uuid}"):
        served.client.call("meet")


@pytest.mark.parametrize(
    ("method", "args", "error"),
    [
        ("absent", (), MethodNotFoundError),
        ("result", ("nan",), ResultEncodingError),
        ("one", (), TypeError),
    ],
)
async def test_errors_are_raised_as_they_are(
    method: str, args: tuple[str, ...], error: type[Exception]
):
    values = [Value(string_value=text) for text in args]
    request = jumpstarter_pb2.DriverCallRequest(method=method, args=values)
    with pytest.raises(error):
        await dispatch.call(Meeting(), request)
