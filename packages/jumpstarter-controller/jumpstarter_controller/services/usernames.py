"""From the username in a token to the name of the client or exporter that it may act as.

An internal username (`internal:client:...`) and that of a Kubernetes service account say nothing
about the name, so the caller states it. From any other one, the name follows.
"""

import re
from typing import Final

from jumpstarter_controller.tokens import PREFIX

MAX_NAME: Final = 63
ACCOUNT_PARTS: Final = 5
SERVICE_ACCOUNT: Final = ["system", "serviceaccount"]


class UnfitNameError(Exception):
    """The stated name is missing, or is not the one that follows from the username."""


def name_of(username: str, stated: str) -> str:
    """Return the name of the object that `username` acts as; `stated` is the caller's own word.

    Raises UnfitNameError.
    """
    if _states_its_name(username):
        if not stated:
            raise UnfitNameError("the metadata jumpstarter-name is empty")
        return stated
    derived = derived_name(username)
    if stated and stated != derived:
        raise UnfitNameError(
            f"the metadata jumpstarter-name is {stated!r}, but the token is that of {derived!r}"
        )
    return derived


def derived_name(username: str) -> str:
    """Return the name that follows from the username of an external identity provider."""
    _, colon, rest = username.partition(":")
    text = re.sub(r"[^-a-z0-9]", "-", (rest if colon else username).lower())
    return _trimmed(_trimmed(re.sub(r"-+", "-", text))[:MAX_NAME])


def _states_its_name(username: str) -> bool:
    parts = username.split(":")
    is_service_account = len(parts) >= ACCOUNT_PARTS and parts[1:3] == SERVICE_ACCOUNT
    return username.startswith(PREFIX) or is_service_account


def _trimmed(text: str) -> str:
    return text.removeprefix("-").removesuffix("-")
