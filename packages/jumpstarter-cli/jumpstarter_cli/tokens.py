"""What a token says of itself. It is read and not verified: that is for the controller to do."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Final, cast

INTERNAL_ISSUER: Final = "https://localhost:8085"
"""The issuer of the tokens that controllers sign themselves: nobody can log in there."""

SOON_SECONDS: Final = 300.0
"""A token that lasts no longer is worth a warning."""

_PARTS = 3


class NoTokenError(ValueError):
    """The text is no JSON web token; the message never repeats it."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says of itself."""

    subject: str | None
    issuer: str | None
    issued: float | None
    expires: float | None

    def remaining(self, now: float) -> float | None:
        """Return the seconds for which it is good from `now`; None when it has no end."""
        return None if self.expires is None else self.expires - now


def read_claims(token: str) -> Claims:
    """Return what the token says; raises NoTokenError."""
    content = decode(token)
    return Claims(
        subject=_text(content.get("sub")),
        issuer=_text(content.get("iss")),
        issued=_number(content.get("iat")),
        expires=_number(content.get("exp")),
    )


def decode(token: str) -> dict[str, Any]:
    """Return all that the token says; raises NoTokenError."""
    parts = token.split(".")
    if len(parts) != _PARTS:
        raise NoTokenError("the token is no JSON web token: it has not three parts between dots")
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise NoTokenError("the token is no JSON web token: it cannot be decoded") from None
    if not isinstance(content, dict):
        raise NoTokenError("the token is no JSON web token: its second part is no object")
    return cast("dict[str, Any]", content)


def span(seconds: float) -> str:
    """Return a span for people: `1d 2h 3m`, `3m 4s`, `4s`; nothing of it is rounded up."""
    whole = int(abs(seconds))
    parts = (
        (whole // 86400, "d"),
        (whole // 3600 % 24, "h"),
        (whole // 60 % 60, "m"),
        (whole % 60 if whole < 3600 else 0, "s"),  # noqa: PLR2004 - seconds of an hour
    )
    return " ".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
