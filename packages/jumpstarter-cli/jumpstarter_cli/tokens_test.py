import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .tokens import Claims, NoTokenError, read_claims, span


def token(content: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
    return f"head.{body}.signature"


def test_claims():
    content = {"sub": "client:lab:ann:1", "iss": "https://a", "iat": 5, "exp": 7.5}
    claims = read_claims(token(content))
    assert claims == Claims("client:lab:ann:1", "https://a", 5.0, 7.5)
    assert claims.remaining(5) == 2.5
    assert read_claims(token({})).remaining(5) is None


@pytest.mark.parametrize("content", [{"exp": "soon"}, {"exp": True}, {"sub": 5, "iss": []}])
def test_claims_of_other_types_are_none(content: dict[str, object]):
    assert read_claims(token(content)) == Claims(None, None, None, None)


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.c.d", "a.é.c", "a.!!.c", token([1]), "..."])
def test_text_that_is_no_token(text: str):
    with pytest.raises(NoTokenError, match="the token is no JSON web token"):
        read_claims(text)


@given(st.text() | st.binary().map(lambda data: f"a.{base64.urlsafe_b64encode(data).decode()}.c"))
def test_any_text_is_a_token_or_refused(text: str):
    with suppress(NoTokenError):
        read_claims(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (61, "1m 1s"), (3600, "1h"), (90061, "1d 1h 1m"), (-60, "1m")],
)
def test_spans(seconds: float, text: str):
    assert span(seconds) == text
