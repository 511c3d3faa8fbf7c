"""Frames: nothing is lost or reordered by splitting, and the numbers are the protocol's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jumpstarter_protocol import router_pb2

from jumpstarter.model.frames import MAX_PAYLOAD, FrameType, split


@given(st.binary(max_size=200), st.integers(1, 60))
def test_payloads_joined_are_the_data(data: bytes, limit: int):
    payloads = list(split(data, limit))
    assert b"".join(payloads) == data
    assert all(len(payload) == limit for payload in payloads[:-1])
    assert len(payloads[-1]) <= limit
    assert payloads == [b""] or b"" not in payloads


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        (0, [0]),
        (1, [1]),
        (MAX_PAYLOAD, [MAX_PAYLOAD]),
        (MAX_PAYLOAD + 1, [MAX_PAYLOAD, 1]),
        (3 * MAX_PAYLOAD, [MAX_PAYLOAD] * 3),
    ],
)
def test_a_frame_holds_a_mebibyte(size: int, sizes: list[int]):
    assert [len(payload) for payload in split(bytes(size))] == sizes


def test_what_fits_is_not_copied():
    data = bytes(MAX_PAYLOAD)
    assert next(split(data)) is data


def test_frame_types_have_the_numbers_of_the_protocol():
    theirs = {f"FRAME_TYPE_{item.name}": item.value for item in FrameType}
    assert theirs == dict(router_pb2.FrameType.items())
