"""The client's side of stream requests is understood by the exporter's side."""

from uuid import uuid4

import pytest

from jumpstarter.model.errors import DriverError
from jumpstarter.model.requests import (
    ClientStreamResource,
    DriverStreamRequest,
    ResourceStreamRequest,
    parse_resource,
    parse_stream_request,
)
from jumpstarter.model.stream_requests import (
    OfferAnswer,
    driver_stream_request,
    offer_answer,
    resource_stream_request,
)
from jumpstarter.streams.compression import Compression

UUID = uuid4()


@pytest.mark.parametrize("method", ["connect", "", 'a "quoted" é'])
def test_request_for_a_stream_of_the_driver(method: str):
    text = driver_stream_request(UUID, method)
    assert parse_stream_request(text) == DriverStreamRequest(uuid=UUID, method=method)
    assert text.isascii()


@pytest.mark.parametrize("encoding", [None, "gzip", Compression.ZSTD])
def test_request_that_offers_a_stream(encoding: str | None):
    text = resource_stream_request(UUID, encoding)
    expected = ResourceStreamRequest(uuid=UUID, x_jmp_content_encoding=encoding)
    assert parse_stream_request(text) == expected


def test_requests_are_compact():
    assert resource_stream_request(UUID, None) == (
        f'{{"kind":"resource","uuid":"{UUID}","x_jmp_content_encoding":null}}'
    )


@pytest.mark.parametrize(
    ("metadata", "decompresses"),
    [({}, False), ({"x_jmp_accept_encoding": ""}, False), ({"x_jmp_accept_encoding": "xz"}, True)],
)
def test_answer_to_an_offer(metadata: dict[str, str], decompresses: bool):
    handle = ClientStreamResource(uuid=UUID, x_jmp_content_encoding="xz" if decompresses else None)
    answer = offer_answer({"resource": handle.model_dump_json(), "other": "x", **metadata})
    assert answer == OfferAnswer(handle.model_dump(mode="json"), decompresses)
    assert parse_resource(answer.handle) == handle


def test_handle_of_a_newer_exporter_is_kept_whole():
    assert offer_answer({"resource": '{"kind":"newer","x":1}'}).handle == {"kind": "newer", "x": 1}


@pytest.mark.parametrize(
    "metadata", [{}, {"resource": ""}, {"resource": "{"}, {"resource": '"text"'}]
)
def test_answer_without_a_handle(metadata: dict[str, str]):
    with pytest.raises(DriverError, match="gave no handle"):
        offer_answer(metadata)
