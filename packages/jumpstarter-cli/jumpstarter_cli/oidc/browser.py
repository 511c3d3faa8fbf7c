"""Logging in with a browser, which brings a code back here that is good only for us (PKCE)."""

import base64
import hashlib
import secrets
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from jumpstarter.model.errors import ConnectionError  # noqa: A004 - its public name

from .provider import Provider, Tokens

PATIENCE_S: Final = 300.0
"""How long a user has to log in."""

_DONE = b"Logged in to Jumpstarter. You may close this page."
_FAILED = b"Jumpstarter did not log in: see the terminal."


@dataclass(frozen=True, slots=True)
class Attempt:
    """One login: what only we know of it."""

    state: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    def url(self, provider: Provider, redirect: str) -> str:
        """Return where the browser is sent."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": provider.client_id,
                "redirect_uri": redirect,
                "scope": provider.scope,
                "state": self.state,
                "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
                "code_challenge_method": "S256",
            }
        )
        endpoint = provider.endpoint("authorization")
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{query}"

    def code(self, answers: dict[str, str]) -> str:
        """Return the code that the browser brought; raises ConnectionError when it has none."""
        if answers.get("error"):
            said = answers.get("error_description") or answers["error"]
            raise ConnectionError(f"the identity provider refused: {said}")
        if not answers.get("code"):
            raise ConnectionError("the identity provider sent no code")
        return answers["code"]


def browser_login(provider: Provider, port: int, tell: Callable[[str], None]) -> Tokens:
    """Return the tokens of a user who logs in with a browser; `tell` gets the address for it.

    The callback is on this machine, at `port`, or a free one for 0. Raises ConnectionError.
    """
    attempt = Attempt()
    try:
        server = _Callback(("127.0.0.1", port), attempt)
    except OSError as error:
        raise ConnectionError(
            f"port {port} for the browser's answer cannot be used: {error.strerror}; "
            "choose another with --callback-port"
        ) from None
    with server:
        redirect = f"http://localhost:{server.server_port}/callback"
        url = attempt.url(provider, redirect)
        tell(url)
        webbrowser.open(url)
        code = attempt.code(server.wait())
    return provider.authorization_code(code, redirect, attempt.verifier)


class _Callback(HTTPServer):
    """Takes the one request that the browser is sent to us with."""

    def __init__(self, address: tuple[str, int], attempt: Attempt) -> None:
        super().__init__(address, _Handler)
        self.attempt = attempt
        self.answers: dict[str, str] | None = None
        self.timeout = 1.0

    def wait(self) -> dict[str, str]:
        until = time.monotonic() + PATIENCE_S
        while self.answers is None:
            if time.monotonic() > until:
                raise ConnectionError("nobody has logged in in time; try once more")
            self.handle_request()
        return self.answers


class _Handler(BaseHTTPRequestHandler):
    """Answers the browser; requests that are not of our login change nothing."""

    timeout = 10.0

    def do_GET(self) -> None:
        """Take the answer of the identity provider."""
        url = urlsplit(self.path)
        given = {key: values[0] for key, values in parse_qs(url.query).items()}
        server = self.server
        assert isinstance(server, _Callback)  # noqa: S101 - it made this object
        known = secrets.compare_digest(
            given.get("state", "").encode(), server.attempt.state.encode()
        )
        if url.path != "/callback" or not known:
            self.send_error(404)
            return
        server.answers = given
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(_DONE if given.get("code") else _FAILED)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Write nothing: the request has the code in it."""
