"""What a stream's token says, and when it is believed. Nothing here repeats a token in an error."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, cast

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from .errors import KeysMissingError, TokenError

ALGORITHM: Final = "ES256"
ISSUER: Final = "https://jumpstarter.dev/stream"
AUDIENCE: Final = "https://jumpstarter.dev/router"
REQUIRED: Final = ("iss", "aud", "sub", "iat", "exp")

SKEW: Final = 60.0
"""Seconds by which the clock of the controller may be ahead of ours."""

LONGEST: Final = 3600.0
"""Seconds that a token may be good for; controllers sign them for half as long."""

_END_OF_TIME: Final = 1e15

PublicKey = ec.EllipticCurvePublicKey
Keys = Callable[[], Sequence[PublicKey]]


class Side(StrEnum):
    """Which end of a stream a token admits."""

    CLIENT = "client"
    EXPORTER = "exporter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a good token says.

    Attributes:
        stream: who carries an equal one is met.
        expires: when the token runs out, in seconds since the epoch.
        side: which end it admits; None is any.
        lease, fence: what it was given for.
    """

    stream: str
    expires: float
    side: Side | None = None
    lease: str = ""
    fence: int = 0


Verify = Callable[[str, float], Claims]
"""Returns what a token says at a time. Raises TokenError or KeysMissingError."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Believes tokens that one of `keys` has signed; the keys are asked for each time."""

    keys: Keys

    def __call__(self, token: str, now: float) -> Claims:
        """Return what `token` says. Raises TokenError or KeysMissingError."""
        keys = self.keys()
        if not keys:
            raise KeysMissingError
        return claims_of(_signed(token, keys), now)


def parse_keys(text: str) -> tuple[PublicKey, ...]:
    """Return the P-256 keys of a JSON Web Key Set (RFC 7517); others in it are passed over.

    Raises ValueError when it is no such set, or has no such key.
    """
    try:
        entries = json.loads(text)["keys"]
        keys = tuple(_key(entry) for entry in entries if entry.get("crv") == "P-256")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, jwt.PyJWTError):
        raise ValueError("not a set of public keys") from None
    if not keys:
        raise ValueError("a set of public keys without one of the curve P-256")
    return keys


def claims_of(claims: Mapping[str, object], now: float) -> Claims:
    """Return what the claims of a well signed token say. Raises TokenError."""
    missing = [name for name in REQUIRED if name not in claims]
    if missing:
        raise TokenError(f"the token lacks the claim {', '.join(missing)}")
    if claims["iss"] != ISSUER:
        raise TokenError("the token is from another issuer")
    if not _is_among(AUDIENCE, claims["aud"]):
        raise TokenError("the token is for another audience")
    expires = _lifetime(claims, now)
    stream, lease, fence = claims["sub"], claims.get("lease", ""), claims.get("fence", 0)
    if not (isinstance(stream, str) and stream and isinstance(lease, str) and _is_whole(fence)):
        raise TokenError("a claim of the token has the wrong type")
    return Claims(
        stream=stream,
        expires=expires,
        side=_side(claims.get("side")),
        lease=lease,
        fence=cast("int", fence),
    )


def _lifetime(claims: Mapping[str, object], now: float) -> float:
    """Return when the token runs out; raises TokenError when it is not good now."""
    issued, expires = _time(claims, "iat"), _time(claims, "exp")
    if now >= expires:
        # The words that clients know.
        raise TokenError("token is expired")
    if max(issued, _time(claims, "nbf", issued)) > now + SKEW:
        raise TokenError("the token is not valid yet")
    # What was refused for a lease is forgotten after as long.
    if expires - issued > LONGEST:
        raise TokenError("the token is good for longer than it may be")
    return expires


def _time(claims: Mapping[str, object], name: str, default: float = 0.0) -> float:
    value = claims.get(name, default)
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and 0 <= value <= _END_OF_TIME
    ):
        return float(value)
    raise TokenError(f"the token's claim {name} is not a time")


def _is_among(wanted: str, value: object) -> bool:
    """Return whether a claim that is one text, or a list of them, has the wanted one."""
    return value == wanted or (isinstance(value, list) and wanted in value)


def _side(value: object) -> Side | None:
    try:
        return None if value is None else Side(cast("str", value))
    except ValueError:
        raise TokenError("the token is for no side of a stream") from None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _signed(token: str, keys: Sequence[PublicKey]) -> Mapping[str, object]:
    """Return the claims of a token that one of `keys` signed; their meaning is not looked at."""
    options: dict[str, Any] = {
        f"verify_{part}": False for part in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
    }
    for key in keys:
        try:
            return jwt.decode(token, key, algorithms=[ALGORITHM], options=cast("Any", options))
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, RecursionError):
            # Their texts may quote the token.
            raise TokenError("not a token that is signed by ES256") from None
    raise TokenError("the token's signature is not valid here")


def _key(entry: Mapping[str, object]) -> PublicKey:
    key = jwt.PyJWK(cast("dict[str, Any]", entry), algorithm=ALGORITHM).key
    if not isinstance(key, PublicKey):
        raise TypeError("not a public key")
    return key
