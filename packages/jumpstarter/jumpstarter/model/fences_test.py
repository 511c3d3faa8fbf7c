"""Fences in router tokens: read where there is one, and no text is too strange."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter.model.fences import fence_of


def token(payload: object) -> str:
    text = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return f"head.{text}.signature"


@pytest.mark.parametrize("fence", [0, 1, 12345678901234567890])
def test_a_fence_is_read(fence: int):
    assert fence_of(token({"sub": "a", "fence": fence})) == fence


@pytest.mark.parametrize("payload", [{}, [], 7, None, {"fence": "7"}, {"fence": True}])
def test_a_token_without_a_fence(payload: object):
    assert fence_of(token(payload)) is None


@given(st.text())
def test_no_text_is_too_strange(text: str):
    assert fence_of(text) is None
    assert fence_of(f"a.{text}.b") is None
