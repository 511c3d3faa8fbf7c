"""Which tokens are believed; nothing of them is ever repeated."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from jumpstarter_router.claims import LONGEST, SKEW, Claims, Side, Verifier, parse_keys
from jumpstarter_router.conftest import Signer, claims
from jumpstarter_router.errors import KeysMissingError, TokenError

NOW = int(time.time())
SIGNER, STRANGER = Signer(), Signer()


def verify(token: str, now: float = NOW, *keys: Signer) -> Claims:
    return Verifier(lambda: [signer.public for signer in keys or (SIGNER,)])(token, now)


def test_a_good_token_says_what_it_is_for():
    token = SIGNER.token("id", side="client", lease="mine", fence=7, iat=NOW, exp=NOW + 60)
    assert verify(token) == Claims(
        stream="id", expires=NOW + 60, side=Side.CLIENT, lease="mine", fence=7
    )


def test_side_lease_and_fence_may_be_missing():
    token = SIGNER.token("id", lease=None, fence=None, nbf=None)
    said = verify(token)
    assert (said.side, said.lease, said.fence) == (None, "", 0)


def test_the_audience_may_be_one_text():
    assert verify(SIGNER.token("id", aud="https://jumpstarter.dev/router")).stream == "id"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"iss": "https://localhost:8085"}, "another issuer"),
        ({"iss": 5}, "another issuer"),
        ({"aud": ["jumpstarter"]}, "another audience"),
        ({"aud": {"https://jumpstarter.dev/router": 1}}, "another audience"),
        ({"exp": NOW}, "token is expired"),
        ({"iat": NOW + SKEW + 1, "exp": NOW + 999}, "not valid yet"),
        ({"nbf": NOW + SKEW + 1}, "not valid yet"),
        ({"exp": NOW + LONGEST + 1}, "longer than it may be"),
        ({"exp": "tomorrow"}, "exp is not a time"),
        ({"exp": True}, "exp is not a time"),
        ({"exp": 10**400}, "exp is not a time"),
        ({"exp": float("inf")}, "exp is not a time"),
        ({"exp": float("nan")}, "exp is not a time"),
        ({"iat": [1]}, "iat is not a time"),
        ({"iat": -5}, "iat is not a time"),
        ({"side": "router"}, "no side"),
        ({"side": ["client"]}, "no side"),
        ({"lease": 5}, "wrong type"),
        ({"fence": "1"}, "wrong type"),
        ({"fence": -1}, "wrong type"),
        ({"fence": True}, "wrong type"),
        *(
            ({name: None}, f"lacks the claim {name}")
            for name in ("iss", "aud", "sub", "iat", "exp")
        ),
    ],
)
def test_claims_that_are_not_believed(changes: dict[str, Any], text: str):
    token = SIGNER.token("id", **{"iat": NOW, "exp": NOW + 1800, **changes})
    with pytest.raises(TokenError, match=text) as caught:
        verify(token)
    assert not set(token.split(".")) & set(str(caught.value).split())


@pytest.mark.parametrize("subject", ["", 5, ["a"]])
def test_a_stream_without_an_id_is_none(subject: object):
    token = SIGNER.sign({**claims(), "sub": subject})
    with pytest.raises(TokenError, match="wrong type"):
        verify(token)


def test_another_key_is_not_believed():
    with pytest.raises(TokenError, match="signature"):
        verify(STRANGER.token())


def test_keys_that_change_are_asked_for_each_time():
    keys = [SIGNER.public]
    verifier = Verifier(lambda: keys)
    token = STRANGER.token("id")
    with pytest.raises(TokenError):
        verifier(token, NOW)
    keys.append(STRANGER.public)
    assert verifier(token, NOW).stream == "id"


def test_without_a_key_nothing_is_judged():
    with pytest.raises(KeysMissingError):
        Verifier(tuple)(SIGNER.token(), NOW)


def test_the_public_key_is_no_shared_secret():
    public = SIGNER.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    # pyjwt itself would not sign so.
    header, payload, _ = jwt.encode(claims(), "x" * 32, algorithm="HS256").split(".")
    algorithm = jwt.get_algorithm_by_name("HS256")
    signature = algorithm.sign(f"{header}.{payload}".encode(), public)
    token = f"{header}.{payload}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    with pytest.raises(TokenError, match="ES256"):
        verify(token)


def test_an_unsigned_token_is_not_believed():
    with pytest.raises(TokenError, match="ES256"):
        verify(jwt.encode(claims(), "", algorithm="none"))


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_is_refused_and_not_repeated(text: str):
    with pytest.raises(TokenError) as caught:
        verify(text)
    assert len(text) < 12 or text not in str(caught.value)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_token_that_was_changed_is_refused(position: int, byte: int):
    token = bytearray(SIGNER.token("id").encode())
    position %= len(token) - 1  # the last character has bits that mean nothing
    if token[position] == byte:
        return
    token[position] = byte
    with pytest.raises(TokenError):
        verify(token.decode("latin-1"))


def test_keys_are_read_from_a_set():
    key = json.loads(ECAlgorithm.to_jwk(SIGNER.public))
    another = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key()))
    old = json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key()))
    (found,) = parse_keys(json.dumps({"keys": [old, {**key, "alg": "ES256"}, another]}))
    assert found == SIGNER.public


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": 5}',
        '{"keys": [5]}',
        '{"keys": [{"crv": "P-256"}]}',
        '{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_set_of_keys_is_refused(text: str):
    with pytest.raises(ValueError, match="set of public keys"):
        parse_keys(text)


def test_a_private_key_in_a_set_is_no_public_key():
    private = json.loads(ECAlgorithm.to_jwk(SIGNER.key))
    with pytest.raises(ValueError, match="set of public keys"):
        parse_keys(json.dumps({"keys": [private]}))
