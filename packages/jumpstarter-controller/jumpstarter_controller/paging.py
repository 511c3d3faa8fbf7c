"""Lists in pages: in order of name, each page after the last name of the one before.

The token is opaque to callers. It names the place, not a snapshot: objects that come or go between
two pages show or do not, but none that stays is shown twice or left out.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from .errors import InvalidRequest
from .objects import Page

T = TypeVar("T")

_FORMAT = b"1:"


def page_token(last: str) -> str:
    """Return the token of the page after `last`."""
    return base64.urlsafe_b64encode(_FORMAT + last.encode()).decode()


def place_of(token: str) -> str:
    """Return the name after which the page of `token` begins; the first one is after ""."""
    if not token:
        return ""
    try:
        raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        name = raw.removeprefix(_FORMAT).decode()
    except (ValueError, binascii.Error):
        raise InvalidRequest("the page token is not one that was given out here") from None
    if not raw.startswith(_FORMAT) or not name:
        raise InvalidRequest("the page token is not one that was given out here")
    return name


def check_size(size: int) -> None:
    """Refuse a size that is none."""
    if size < 0:
        raise InvalidRequest("the page size must not be negative; 0 means everything")


def cut(items: Sequence[tuple[str, T]], size: int) -> Page[T]:
    """Return the first `size` of `items`, which are (name, item) in order of name; 0 means all."""
    if size == 0 or len(items) <= size:
        return Page(tuple(item for _, item in items))
    shown = items[:size]
    return Page(tuple(item for _, item in shown), page_token(shown[-1][0]))
