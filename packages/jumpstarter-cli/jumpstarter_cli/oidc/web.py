"""Forms and JSON over HTTP, with errors that a user can act on."""

import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any, Final, cast

from jumpstarter.model.errors import ConnectionError  # noqa: A004 - its public name

TIMEOUT_S: Final = 30.0
MOST_BYTES: Final = 1 << 20
"""No answer that is expected here is longer."""

_SCHEMES = ("http", "https")


class RefusalError(ConnectionError):
    """The far side understood, and refused; `error` is its word for that, as of RFC 6749."""

    def __init__(self, message: str, error: str) -> None:
        """Keep the word."""
        super().__init__(message)
        self.error = error


def get_json(url: str, *, insecure: bool) -> dict[str, Any]:
    """Return the object at `url`; raises ConnectionError, which names the address."""
    return _fetch(urllib.request.Request(_checked(url)), insecure=insecure)


def post_form(url: str, fields: Mapping[str, str], *, insecure: bool) -> dict[str, Any]:
    """Send a form and return the object in the answer; raises RefusalError or ConnectionError."""
    body = urllib.parse.urlencode(fields).encode()
    request = urllib.request.Request(_checked(url), body)
    return _fetch(request, insecure=insecure)


def _checked(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        parts = urllib.parse.urlsplit("")
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ConnectionError(f"'{url}' is no address of a web server; it begins with https://")
    return url


def _fetch(request: urllib.request.Request, *, insecure: bool) -> dict[str, Any]:
    request.add_header("Accept", "application/json")
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    where = request.full_url.partition("?")[0]
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context) as reply:
            return _object(reply.read(MOST_BYTES), where)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(error, where) from None
    except urllib.error.URLError as error:
        raise ConnectionError(f"{where} cannot be reached: {_reason(error.reason)}") from None
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(f"{where} cannot be reached: {_reason(error)}") from None


def _reason(reason: object) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({reason.verify_message}); -k goes on all the same"
    if isinstance(reason, ssl.SSLError) and reason.reason:
        return f"no TLS with it: {reason.reason.lower().replace('_', ' ')}"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__


def _object(body: bytes, where: str) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ConnectionError(f"{where} answered with something that is no JSON object")
    return cast("dict[str, Any]", content)


def _refusal(error: urllib.error.HTTPError, where: str) -> ConnectionError:
    try:
        content = _object(error.read(MOST_BYTES), where)
    except ConnectionError:
        return ConnectionError(f"{where} answered: {error.code} {error.reason}")
    word = str(content.get("error", error.code))
    said = content.get("error_description")
    return RefusalError(f"{where} refused: {word}{f': {said}' if said else ''}", word)
