"""A small identity provider for tests: real HTTP, all grants, and tokens that are really signed."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

Form = dict[str, str]
Reply = dict[str, Any]


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Issuer:
    """What the provider knows, what it was asked, and what its tokens say."""

    url: str = ""
    lifetime: float = 3600.0
    pending: int = 0
    refuse: str | None = None
    site: Reply = field(default_factory=dict[str, Any])
    requests: list[Form] = field(default_factory=list[Form])
    codes: dict[str, Form] = field(default_factory=dict[str, Form])
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def token(self, subject: str = "ann", **claims: object) -> str:
        """Return a token, signed with ES256."""
        now = time.time()
        content = {"iss": self.url, "sub": subject, "iat": now, "exp": now + self.lifetime}
        head = encoded(json.dumps({"alg": "ES256", "typ": "JWT"}).encode())
        body = encoded(json.dumps({**content, **claims, "jti": str(now)}).encode())
        signature = self.key.sign(f"{head}.{body}".encode(), ec.ECDSA(SHA256()))
        r, s = decode_dss_signature(signature)
        return f"{head}.{body}.{encoded(r.to_bytes(32) + s.to_bytes(32))}"

    def grant(self, form: Form) -> Reply:
        """Return the answer to a request for tokens; an `error` in it is a refusal."""
        self.requests.append(form)
        if self.refuse is not None:
            return {"error": self.refuse, "error_description": "not today"}
        if (error := self._error(form)) is not None:
            return {"error": error}
        offline = "offline_access" in form.get("scope", "offline_access")
        return {"access_token": self.token()} | ({"refresh_token": "again"} if offline else {})

    def _error(self, form: Form) -> str | None:
        if form["client_id"] != "jumpstarter-cli":
            return "invalid_client"
        match form["grant_type"].rpartition(":")[2]:
            case "password":
                fits = (form["username"], form["password"]) == ("ann", "secret")
            case "authorization_code":
                fits = self._fits(form)
            case "refresh_token":
                fits = form["refresh_token"] == "again"
            case "device_code" if self.pending > 0:
                self.pending -= 1
                return "slow_down"
            case _:
                fits = True
        return None if fits else "invalid_grant"

    def authorize(self, query: Form) -> str:
        """Return where a browser is sent that comes to log in."""
        if self.refuse is not None:
            answer = {"error": self.refuse, "error_description": "not today"}
        else:
            answer = {"code": f"code-{len(self.codes)}"}
            self.codes[answer["code"]] = query
        return f"{query['redirect_uri']}?{urlencode({**answer, 'state': query['state']})}"

    def _fits(self, form: Form) -> bool:
        asked = self.codes.pop(form["code"])
        digest = encoded(hashlib.sha256(form["code_verifier"].encode()).digest())
        return asked["code_challenge_method"] == "S256" and (
            (asked["code_challenge"], asked["redirect_uri"]) == (digest, form["redirect_uri"])
        )


class Handler(BaseHTTPRequestHandler):
    """Answers for the provider of its server."""

    @property
    def issuer(self) -> Issuer:
        assert isinstance(self.server, Server)
        return self.server.issuer

    def do_GET(self) -> None:
        issuer, url = self.issuer, urlsplit(self.path)
        match url.path:
            case "/.well-known/openid-configuration":
                kinds = ("token", "authorization", "device_authorization")
                self.reply({f"{kind}_endpoint": f"{issuer.url}/{kind}" for kind in kinds})
            case "/v1/auth/config":
                self.reply(issuer.site)
            case "/authorization":
                self.send_response(302)
                self.send_header("Location", issuer.authorize(fields(url.query)))
                self.end_headers()
            case _:
                self.send_error(404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/token":
            self.reply(self.issuer.grant(fields(body)))
        else:
            device = {"device_code": "d", "user_code": "ABCD", "interval": 0.01}
            self.reply({**device, "verification_uri": f"{self.issuer.url}/device"})

    def reply(self, content: Reply) -> None:
        self.send_response(400 if "error" in content else 200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


class Server(ThreadingHTTPServer):
    """A server on loopback, for one provider."""

    def __init__(self, issuer: Issuer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.issuer = issuer
        issuer.url = f"http://127.0.0.1:{self.server_port}"


def fields(text: str) -> Form:
    return {key: values[0] for key, values in parse_qs(text).items()}


@contextmanager
def running_issuer() -> Generator[Issuer]:
    """Run a provider, and the login service of a lab, on loopback."""
    issuer = Issuer()
    with Server(issuer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
