"""Internal tokens say who they are for, and no other token is taken for one."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from .keys import key_set, make_key
from .tokens import (
    Claims,
    Kind,
    Side,
    StreamGrant,
    Subject,
    TokenError,
    issuer_of,
    sign,
    sign_stream,
    verify,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, 500, tzinfo=UTC)
DAY = timedelta(days=1)
KEY, OTHER = make_key(), make_key()
ANN = Subject(kind=Kind.CLIENT, namespace="lab", name="ann", uid="u-1", generation=3)
GRANT = StreamGrant(stream="s-1", lease="l-1", fence=7)


def claims(**changes: Any) -> dict[str, Any]:
    good = {
        "iss": "https://localhost:8085",
        "aud": ["jumpstarter"],
        "sub": ANN.text,
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 60,
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not None}


def signed(**changes: Any) -> str:
    return jwt.encode(claims(**changes), KEY.private, algorithm="ES256")


def refused(token: str, at: datetime = NOW) -> str:
    with pytest.raises(TokenError) as error:
        verify(token, [KEY.public], at)
    assert len(token) < 40 or token[10:30] not in str(error.value)
    return str(error.value)


def test_it_has_the_form_that_the_specification_gives() -> None:
    made = sign(KEY, ANN, NOW, DAY)
    told = jwt.decode(made.token, options={"verify_signature": False})

    assert jwt.get_unverified_header(made.token) == {"alg": "ES256", "typ": "JWT"}
    assert told.pop("jti")
    assert told == {
        "iss": "https://localhost:8085",
        "aud": ["jumpstarter"],
        "sub": "client:lab:ann:u-1",
        "iat": int(NOW.timestamp()),
        "exp": int((NOW + DAY).timestamp()),
        "gen": 3,
    }
    assert made.expiry == datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_what_was_signed_is_verified() -> None:
    token = sign(KEY, ANN, NOW, DAY).token

    assert verify(token, [OTHER.public, KEY.public], NOW) == Claims("client:lab:ann:u-1", 3)
    assert issuer_of(token) == "https://localhost:8085"


def test_two_within_one_second_differ() -> None:
    assert sign(KEY, ANN, NOW, DAY).token != sign(KEY, ANN, NOW, DAY).token


def test_one_of_upstream_has_no_generation() -> None:
    assert verify(signed(), [KEY.public], NOW).generation == 0


@pytest.mark.parametrize("after", [60, 61, 10_000_000])
def test_the_words_for_one_that_is_over(after: int) -> None:
    assert refused(signed(), NOW + timedelta(seconds=after)) == "token is expired"


def test_the_signature_is_looked_at_before_the_end() -> None:
    token = jwt.encode(claims(), OTHER.private, algorithm="ES256")

    assert "signature" in refused(token, NOW + DAY)


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "iat", "exp"])
def test_a_claim_that_is_missing(name: str) -> None:
    assert name in refused(signed(**{name: None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere"},
        {"aud": ["other"]},
        {"aud": "other"},
        {"aud": 5},
        {"sub": 5},
        {"gen": "3"},
        {"exp": "soon"},
        {"exp": True},
        {"iat": []},
        {"nbf": int(NOW.timestamp()) + 30},
    ],
)
def test_a_claim_that_is_wrong(changes: dict[str, Any]) -> None:
    refused(signed(**changes))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "....",
        jwt.encode(claims(), "s" * 64, algorithm="HS256"),
        jwt.encode(claims(), "", algorithm="none"),
    ],
)
def test_what_is_no_token_of_ours(token: str) -> None:
    refused(token)


def test_the_public_key_is_no_shared_secret() -> None:
    coordinate = json.loads(key_set([KEY.public]))["keys"][0]["x"]

    refused(jwt.encode(claims(), coordinate, algorithm="HS256"))


@given(st.text() | st.binary(max_size=300).map(lambda data: data.decode("latin-1")))
def test_any_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(TokenError):
        verify(text, [KEY.public], NOW)
    with pytest.raises(TokenError):
        issuer_of(text)


def test_no_issuer() -> None:
    with pytest.raises(TokenError, match="issuer"):
        issuer_of(jwt.encode({"sub": "x"}, KEY.private, algorithm="ES256"))


def test_a_stream_token_is_for_one_side_and_half_an_hour() -> None:
    token = sign_stream(KEY, GRANT, Side.EXPORTER, NOW)
    told = jwt.decode(
        token,
        KEY.public,
        ["ES256"],
        {
            "verify_signature": True,
            "verify_exp": False,
            "verify_aud": False,
            "verify_nbf": False,
            "verify_iat": False,
        },
    )

    assert told.pop("jti")
    assert told == {
        "iss": "https://jumpstarter.dev/stream",
        "aud": ["https://jumpstarter.dev/router"],
        "sub": "s-1",
        "iat": int(NOW.timestamp()),
        "nbf": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 1800,
        "lease": "l-1",
        "fence": 7,
        "side": "exporter",
    }


def test_a_stream_token_does_not_admit_to_the_controller() -> None:
    refused(sign_stream(KEY, GRANT, Side.CLIENT, NOW))


def test_the_key_set_verifies_a_token() -> None:
    key = jwt.PyJWKSet.from_json(key_set([KEY.public])).keys[0]

    assert json.loads(key_set([KEY.public]))["keys"][0]["kid"] == "default"
    assert jwt.decode(
        signed(),
        key.key,
        ["ES256"],
        audience="jumpstarter",
        options={"verify_exp": False, "verify_iat": False},
    )
