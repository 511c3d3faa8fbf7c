"""Requests and handles: their JSON on the wire, and what is refused."""

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter.model.requests import (
    ClientStreamResource,
    DriverStreamRequest,
    PresignedRequestResource,
    ResourceMetadata,
    ResourceStreamRequest,
    parse_resource,
    parse_stream_request,
)

ID = "00000000-0000-0000-0000-000000000001"
DRIVER = DriverStreamRequest(uuid=UUID(ID), method="connect")
RESOURCE_STREAM = ResourceStreamRequest(uuid=UUID(ID), x_jmp_content_encoding="gzip")
HANDLE = ClientStreamResource(uuid=UUID(ID))


def test_a_request_has_the_members_of_the_protocol():
    assert json.loads(DRIVER.model_dump_json()) == {
        "kind": "driver",
        "uuid": ID,
        "method": "connect",
    }
    assert json.loads(RESOURCE_STREAM.model_dump_json()) == {
        "kind": "resource",
        "uuid": ID,
        "x_jmp_content_encoding": "gzip",
    }


@pytest.mark.parametrize("request_", [DRIVER, RESOURCE_STREAM])
def test_a_request_comes_back_from_its_text(request_: DriverStreamRequest | ResourceStreamRequest):
    text = request_.model_dump_json()
    assert parse_stream_request(text) == parse_stream_request(text.encode()) == request_


def test_members_of_a_newer_peer_are_ignored():
    text = json.dumps({"kind": "driver", "uuid": ID, "method": "connect", "newer": [1]})
    assert parse_stream_request(text) == DRIVER


def test_the_encoding_may_be_omitted():
    text = json.dumps({"kind": "resource", "uuid": ID})
    assert parse_stream_request(text) == ResourceStreamRequest(uuid=UUID(ID))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "the metadata has no 'request'"),
        ("", "Invalid JSON: EOF while parsing"),
        ("{", "Invalid JSON: EOF while parsing"),
        (b"\xff", "Invalid JSON"),
        ("[]", "Input should be"),
        ("null", "Input should be"),
        (
            json.dumps({"uuid": ID, "method": "m"}),
            "Unable to extract tag using discriminator 'kind'",
        ),
        (json.dumps({"kind": "serial", "uuid": ID}), "Input tag 'serial'"),
        (json.dumps({"kind": "driver", "uuid": ID}), "driver.method: Field required"),
        (json.dumps({"kind": "driver", "method": "m"}), "driver.uuid: Field required"),
        (
            json.dumps({"kind": "driver", "uuid": "1", "method": "m"}),
            "driver.uuid: Input should be",
        ),
        (json.dumps({"kind": "resource", "uuid": ID, "x_jmp_content_encoding": 1}), "valid string"),
    ],
)
def test_what_asks_for_no_stream_is_refused_in_one_line(text: str | bytes | None, words: str):
    with pytest.raises(ValueError, match="metadata") as caught:
        parse_stream_request(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.binary() | st.text())
def test_any_text_is_read_or_refused(text: str | bytes):
    with pytest.raises(ValueError, match="the metadata 'request' asks for no stream: "):
        parse_stream_request(text)


@pytest.mark.parametrize(
    "handle",
    [
        HANDLE,
        ClientStreamResource(uuid=UUID(ID), x_jmp_content_encoding="zstd"),
        PresignedRequestResource(headers={"A": "b"}, url="http://h/?q=%2F", method="PUT"),
    ],
)
def test_a_handle_comes_back_from_an_argument(
    handle: ClientStreamResource | PresignedRequestResource,
):
    assert parse_resource(handle.model_dump(mode="json")) == handle


@pytest.mark.parametrize(
    "handle",
    [
        {"uuid": ID},
        {"kind": "presigned_url", "headers": {}, "url": "http://h/", "method": "GET"},
        {"kind": "presigned_request", "headers": {}, "url": "http://h/", "method": "POST"},
        {"kind": "client_stream", "uuid": "1"},
    ],
)
def test_what_is_no_handle_is_refused(handle: dict[str, object]):
    with pytest.raises(ValueError, match=r"^not the handle of a resource: "):
        parse_resource(handle)


@pytest.mark.parametrize(
    ("metadata", "accepted"),
    [
        ({}, None),
        ({"x_jmp_accept_encoding": ""}, ""),
        ({"x_jmp_accept_encoding": "gzip", "other": "x"}, "gzip"),
    ],
)
def test_the_answer_to_an_offer(metadata: dict[str, str], accepted: str | None):
    answer = ResourceMetadata.model_validate({"resource": HANDLE.model_dump_json(), **metadata})
    assert (answer.resource, answer.x_jmp_accept_encoding) == (HANDLE, accepted)
