"""Tokens: JSON Web Tokens that say who calls, signed by ES256, and what is wrong with a bad one.

Two kinds, each with a key of its own. An *internal token* names one client, exporter, administrator
or router, by its uid too, so that it is void once that is deleted; its claim `gen` is void once a
newer generation was made. A *stream token* admits one side of one stream to a router. Nothing here
ever puts a token, or a part of one, into the text of an error.
"""

import json
import uuid
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache, partial
from typing import Any, Final, cast

import jwt

from .keys import PublicKey, SigningKey

ALGORITHM: Final = "ES256"
ISSUER: Final = "https://localhost:8085"
AUDIENCE: Final = "jumpstarter"
PREFIX: Final = "internal:"
STREAM_ISSUER: Final = "https://jumpstarter.dev/stream"
STREAM_AUDIENCE: Final = "https://jumpstarter.dev/router"
STREAM_LIFETIME: Final = timedelta(minutes=30)
REQUIRED: Final = ("iss", "aud", "sub", "iat", "exp")


class Kind(StrEnum):
    """Who a token is for; the value is that of the metadata `jumpstarter-kind`."""

    CLIENT = "Client"
    EXPORTER = "Exporter"
    ADMIN = "Admin"
    ROUTER = "Router"


class Side(StrEnum):
    """Which end of a stream a token is for."""

    CLIENT = "client"
    EXPORTER = "exporter"


class TokenError(Exception):
    """A token is not accepted; the text says why, and holds nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who an internal token is for, and which generation of its tokens it belongs to."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    generation: int

    @property
    def text(self) -> str:
        """The claim `sub`."""
        return f"{self.kind.lower()}:{self.namespace}:{self.name}:{self.uid}"


@dataclass(frozen=True, slots=True)
class Signed:
    """A token and when it expires."""

    token: str
    expiry: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamGrant:
    """What a stream token says, but for the side that it is for."""

    stream: str
    lease: str
    fence: int


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified internal token says."""

    subject: str
    generation: int


def sign(key: SigningKey, subject: Subject, now: datetime, lifetime: timedelta) -> Signed:
    """Return an internal token for `subject`; no two are the same text."""
    expiry = _whole(now + lifetime)
    claims = {
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "sub": subject.text,
        "iat": _seconds(now),
        "exp": _seconds(expiry),
        "jti": str(uuid.uuid4()),
        "gen": subject.generation,
    }
    return Signed(_encode(key, claims), expiry)


def sign_stream(key: SigningKey, grant: StreamGrant, side: Side, now: datetime) -> str:
    """Return the token with which `side` joins the stream of `grant` at a router."""
    claims = {
        "iss": STREAM_ISSUER,
        "aud": [STREAM_AUDIENCE],
        "sub": grant.stream,
        "iat": _seconds(now),
        "nbf": _seconds(now),
        "exp": _seconds(now + STREAM_LIFETIME),
        "jti": str(uuid.uuid4()),
        "lease": grant.lease,
        "fence": grant.fence,
        "side": str(side),
    }
    return _encode(key, claims)


def issuer_of(token: str) -> str:
    """Return the issuer that `token` claims, unverified; only good for choosing who verifies it.

    Raises TokenError when it is no JSON Web Token, or names no issuer.
    """
    issuer = _payload(token).get("iss")
    if not isinstance(issuer, str):
        raise TokenError("the token names no issuer")
    return issuer


class Reader:
    """Reads internal tokens that any of some keys signed.

    Callers show the same token at each call, so the signatures of the last ones are remembered;
    everything else is looked at each time.
    """

    def __init__(self, keys: Sequence[PublicKey], remembered: int = 8192) -> None:
        """Accept tokens that any of `keys` signed."""
        self._claims = lru_cache(remembered)(partial(_signed_by_any, keys=tuple(keys)))

    def read(self, token: str, now: datetime) -> Claims:
        """Return what a token says; raises as `verify`."""
        return _checked(self._claims(token), now)


def verify(token: str, keys: Sequence[PublicKey], now: datetime) -> Claims:
    """Return what the internal token says.

    Raises TokenError: it is malformed, or no key signed it, or it is for others, or it lacks a
    claim, or it is over.
    """
    return _checked(_signed_by_any(token, keys), now)


def _checked(claims: Mapping[str, Any], now: datetime) -> Claims:
    missing = [name for name in REQUIRED if name not in claims]
    if missing:
        raise TokenError(f"the token lacks the claim {', '.join(missing)}")
    if claims["iss"] != ISSUER:
        raise TokenError("the token is from another issuer")
    audience: object = claims["aud"]
    if AUDIENCE not in (
        cast("list[object]", audience) if isinstance(audience, list) else [audience]
    ):
        raise TokenError("the token is for another audience")
    _check_times(claims, now)
    subject, generation = claims["sub"], claims.get("gen", 0)
    if not isinstance(subject, str) or not isinstance(generation, int):
        raise TokenError("a claim of the token has the wrong type")
    return Claims(subject, generation)


def _signed_by_any(token: str, keys: Sequence[PublicKey]) -> Mapping[str, Any]:
    for key in keys:
        try:
            return _decoded(token, key)
        except jwt.InvalidSignatureError:
            continue
    raise TokenError("the token's signature is not valid here")


def _payload(token: str) -> Mapping[str, Any]:
    """Return the claims of a token that nobody has verified."""
    try:
        _, middle, _ = token.split(".")
        found = json.loads(urlsafe_b64decode(middle + "=="))
    except (ValueError, RecursionError):
        raise TokenError("the token is not a JSON Web Token") from None
    if not isinstance(found, dict):
        raise TokenError("the token is not a JSON Web Token")
    return cast("dict[str, Any]", found)


def _decoded(token: str, key: PublicKey) -> Mapping[str, Any]:
    """Return the claims; their meaning is checked elsewhere, against a time that is passed in."""
    options: dict[str, Any] = {
        f"verify_{part}": False for part in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
    }
    try:
        return jwt.decode(token, key, algorithms=[ALGORITHM], options=cast("Any", options))
    except jwt.InvalidSignatureError:
        raise
    except jwt.InvalidAlgorithmError:
        raise TokenError("the token is not signed by ES256") from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        # Their texts may quote the token.
        raise TokenError("the token is not a JSON Web Token") from None


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    for name in ("iat", "exp", "nbf"):
        value = claims.get(name, 0)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise TokenError(f"the token's claim {name} is not a time")
    # The words that clients look for, to log in again.
    if now.timestamp() >= claims["exp"]:
        raise TokenError("token is expired")
    if claims.get("nbf", 0) > now.timestamp():
        raise TokenError("the token is not valid yet")


def _encode(key: SigningKey, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, key.private, algorithm=ALGORITHM)


def _seconds(time: datetime) -> int:
    return int(time.timestamp())


def _whole(time: datetime) -> datetime:
    return datetime.fromtimestamp(_seconds(time), UTC)
