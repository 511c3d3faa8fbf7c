"""Handles that a driver refuses: used up, another driver's, or none at all."""

import json
import threading
from collections.abc import Generator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from jumpstarter.client import DriverClient
from jumpstarter.driver import Driver, export
from jumpstarter.local import serve
from jumpstarter.model.errors import DriverInvalidArgument
from jumpstarter.streams.memory import create_memory_stream

SIGNED = "http://127.0.0.1:1/image?signature=secret"


class Reader(Driver):
    """Reads a resource to its end."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    async def read(self, handle: object) -> str:
        async with self.resource(handle) as stream:
            return b"".join([chunk async for chunk in stream]).decode()


@dataclass
class Served:
    """Two drivers in a tree, and their clients."""

    driver: Reader
    client: DriverClient

    @property
    def other(self) -> DriverClient:
        """The client of the driver below."""
        return self.client.children["other"]


@pytest.fixture
def served() -> Generator[Served]:
    driver = Reader(children={"other": Reader()})
    with serve(driver) as client:
        yield Served(driver, client)


@pytest.fixture
def handle(served: Served) -> Generator[dict[str, object]]:
    """The handle of a stream that has `data` and stays open."""
    here, there = create_memory_stream()

    async def fill() -> None:
        await here.send(b"data")
        await here.send_eof()

    served.client.portal.call(fill)
    offer = served.client.resource_async(there)
    with served.client.portal.wrap_async_context_manager(offer) as handle:
        yield handle


def test_a_handle_is_good_for_one_use(served: Served, handle: dict[str, object]):
    assert served.client.call("read", handle) == "data"
    assert served.driver.resources == {}
    with pytest.raises(DriverInvalidArgument, match="no such stream on this driver, or already"):
        served.client.call("read", handle)


def test_a_handle_is_good_for_its_driver_alone(served: Served, handle: dict[str, object]):
    with pytest.raises(DriverInvalidArgument, match="no such stream on this driver, or already"):
        served.other.call("read", handle)
    assert served.client.call("read", handle) == "data"


def test_a_handle_may_be_text(served: Served, handle: dict[str, object]):
    assert served.client.call("read", json.dumps(handle)) == "data"


def test_a_handle_may_have_members_of_a_newer_peer(served: Served, handle: dict[str, object]):
    assert served.client.call("read", {**handle, "newer": 1}) == "data"


def test_a_handle_with_an_unknown_encoding_is_not_used_up(
    served: Served, handle: dict[str, object]
):
    with pytest.raises(DriverInvalidArgument, match="'rar'"):
        served.client.call("read", {**handle, "x_jmp_content_encoding": "rar"})
    assert served.client.call("read", handle) == "data"


def test_a_handle_ends_with_its_stream(served: Served):
    kept: list[dict[str, object]] = []

    def leave() -> None:
        offer = served.client.resource_async(create_memory_stream()[0])
        with served.client.portal.wrap_async_context_manager(offer) as handle:
            assert len(served.driver.resources) == 1
            kept.append(handle)
            raise LookupError

    with pytest.raises(LookupError):
        leave()
    # The end crosses from the client to the exporter; the driver itself tells when it is there.
    tick = threading.Event()
    for _ in range(1000):
        if not served.driver.resources:
            break
        tick.wait(0.01)
    assert served.driver.resources == {}
    with pytest.raises(DriverInvalidArgument, match="no such stream"):
        served.client.call("read", kept[0])


@pytest.mark.parametrize(
    "handle",
    [
        None,
        3,
        "",
        "image.bin",
        "{",
        "3",
        [],
        {},
        {"kind": "file", "uuid": str(uuid4())},
        {"kind": "client_stream"},
        {"kind": "client_stream", "uuid": "1"},
        {"kind": "client_stream", "uuid": None},
        {"kind": "presigned_request", "url": SIGNED, "method": "GET"},
        {"kind": "presigned_request", "url": SIGNED, "method": "POST", "headers": {}},
        {"kind": "presigned_request", "url": SIGNED, "method": "GET", "headers": {"a": 1}},
        {"kind": "presigned_request", "url": [SIGNED], "method": "GET", "headers": {}},
        {"kind": "presigned_request", "url": "image.bin", "method": "GET", "headers": {}},
    ],
)
def test_what_is_no_handle_is_refused_in_one_line(served: Served, handle: object):
    with pytest.raises(DriverInvalidArgument) as caught:
        served.client.call("read", handle)
    message = caught.value.message
    assert message.startswith("DriverCall 'read' failed with gRPC INVALID_ARGUMENT: ")
    assert "handle" in message
    assert "\n" not in message
    assert "secret" not in message
