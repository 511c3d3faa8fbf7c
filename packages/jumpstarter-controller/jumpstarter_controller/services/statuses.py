"""Statuses: what ends a call that is refused, and the one table from the lab's errors to them.

Released programs show the text of UNKNOWN and UNAVAILABLE to their users, and anything else as a
dump; so UNKNOWN is what ClientService and ControllerService answer to most mistakes. What it really
was is told to newer programs in the trailing metadata `jumpstarter-status`.
"""

import re
from collections.abc import Mapping
from typing import Final

from grpc import StatusCode as Code
from jumpstarter.model.codes import carried_details

from jumpstarter_controller.errors import (
    AlreadyExists,
    Busy,
    Closed,
    Forbidden,
    InvalidRequest,
    LabError,
    NotFound,
    StoreUnavailable,
    WrongState,
)

__all__ = ["ACTUAL_STATUS", "EXPIRED", "BadForm", "Code", "Refusal", "refusal_of", "shown_code"]

ACTUAL_STATUS: Final = "jumpstarter-status"
"""Key of the trailing metadata with the name of the status that says what it really was."""

EXPIRED: Final = "token is expired"
"""The one text that may hold the word at which shipped clients log in again."""

_CODES: Final[Mapping[type[LabError], Code]] = {
    NotFound: Code.NOT_FOUND,
    AlreadyExists: Code.ALREADY_EXISTS,
    Forbidden: Code.PERMISSION_DENIED,
    InvalidRequest: Code.INVALID_ARGUMENT,
    WrongState: Code.FAILED_PRECONDITION,
    Busy: Code.UNAVAILABLE,
    StoreUnavailable: Code.UNAVAILABLE,
    Closed: Code.UNAVAILABLE,
}

_SHOWN_AS_UNKNOWN: Final = frozenset(
    {
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.PERMISSION_DENIED,
        Code.INVALID_ARGUMENT,
        Code.FAILED_PRECONDITION,
    }
)


class BadForm(InvalidRequest):
    """Something in a request is not of the form that it has to have; said so to every caller."""


class Refusal(Exception):  # noqa: N818 - it is an answer, no failure
    """Ends a call with `code` and `details`; `actual` is the code that says what it really was."""

    def __init__(self, code: Code, details: str, actual: Code | None = None) -> None:
        """Keep the details in a form that a status can carry."""
        super().__init__(details)
        self.code = code
        self.details = _without_login_word(carried_details(_one_line(details)))
        self.actual = code if actual is None else actual


def refusal_of(error: LabError, *, plain: bool) -> Refusal:
    """Return the status that tells about `error`; with `plain`, as released programs expect it."""
    kinds = (kind for kind in type(error).__mro__ if kind in _CODES)
    code = next((_CODES[kind] for kind in kinds), Code.UNKNOWN)
    shown = shown_code(code) if plain and not isinstance(error, BadForm) else code
    return Refusal(shown, error.message, code)


def shown_code(code: Code) -> Code:
    """Return the code under which released programs show the text to their users."""
    return Code.UNKNOWN if code in _SHOWN_AS_UNKNOWN else code


def _one_line(details: str) -> str:
    """Return `details` without signs that would break the line it is shown in.

    They may come from a name that the caller gave.
    """
    return re.sub(r"[\x00-\x1f\x7f\u2028\u2029]", lambda found: ascii(found[0])[1:-1], details)


def _without_login_word(details: str) -> str:
    """Return `details` without the word that makes shipped clients log in again.

    It may come from a name that the caller gave.
    """
    if details == EXPIRED:
        return details
    return re.sub("expired", "ended", details, flags=re.IGNORECASE)
