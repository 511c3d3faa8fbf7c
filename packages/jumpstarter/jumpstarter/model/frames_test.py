"""Frames are the bytes of the generated messages, and batches come apart as they were put."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jumpstarter_protocol import router_pb2

from jumpstarter.model.frames import (
    FrameType,
    decode_frame,
    encode_frame,
    pack_batch,
    split,
    unpack_batch,
)

PAYLOADS = st.binary(max_size=300) | st.integers(100, 70_000).map(bytes)


@given(kind=st.sampled_from(FrameType), payload=PAYLOADS)
def test_an_encoded_frame_is_a_stream_request_and_a_stream_response(
    kind: FrameType, payload: bytes
) -> None:
    encoded = encode_frame(kind, payload)
    for message in (router_pb2.StreamRequest, router_pb2.StreamResponse):
        parsed = message.FromString(encoded)
        assert (parsed.frame_type, parsed.payload) == (kind, payload)


@given(kind=st.integers(0, 2**31 - 1), payload=PAYLOADS)
def test_what_protobuf_serializes_is_decoded(kind: int, payload: bytes) -> None:
    message = router_pb2.StreamRequest(payload=payload)
    message.frame_type = kind  # pyright: ignore[reportAttributeAccessIssue] - an open enum
    frame = decode_frame(message.SerializeToString())
    assert (frame.kind, frame.payload) == (kind, payload)


@given(data=st.binary(max_size=64))
def test_arbitrary_bytes_are_a_frame_or_a_value_error(data: bytes) -> None:
    try:
        frame = decode_frame(data)
    except ValueError:
        return
    assert len(frame.payload) <= len(data)


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        (b"", b""),
        (b"\x0a\x00", b""),
        (b"\x0a\x01a\x0a\x01b", b"b"),
        (b"\x10\x00\x0a\x01a", b"a"),
        (b"\x0a\x01a\x18\x05", b"a"),
    ],
    ids=["empty", "empty-payload", "last-wins", "kind-first", "unknown-field"],
)
def test_unusual_but_valid_messages(message: bytes, payload: bytes) -> None:
    frame = decode_frame(message)
    assert (frame.kind, frame.payload) == (FrameType.DATA, payload)


@pytest.mark.parametrize("message", [b"\x0a\x05abc", b"\x0a", b"\x0a\xff\xff", b"\xff"])
def test_cut_messages_are_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match="no frame"):
        decode_frame(message)


@given(payloads=st.lists(PAYLOADS, max_size=20))
def test_a_batch_comes_apart_as_it_was_put(payloads: list[bytes]) -> None:
    assert unpack_batch(pack_batch(payloads)) == payloads


@given(payloads=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5))
def test_a_cut_batch_is_refused(payloads: list[bytes]) -> None:
    with pytest.raises(ValueError, match="cut short"):
        unpack_batch(pack_batch(payloads)[:-1])


@given(data=st.binary(max_size=50), limit=st.integers(1, 20))
def test_split_keeps_every_byte_and_the_limit(data: bytes, limit: int) -> None:
    parts = list(split(data, limit))
    assert b"".join(parts) == data
    assert all(len(part) <= limit for part in parts)
    assert parts  # an empty write is still one frame
