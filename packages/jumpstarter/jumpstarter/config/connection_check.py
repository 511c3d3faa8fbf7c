"""What is wrong with the connection to a controller although its keys have the right form."""

import base64
import binascii
import re
from collections.abc import Iterator

from jumpstarter.config.documents import Document
from jumpstarter.config.problems import Problem, as_mapping, dotted

_SCHEME = re.compile(r"(https?|grpcs?)://")


def connection_problems(document: Document) -> Iterator[Problem]:
    """Yield a problem for an endpoint written as a URL, and for a `tls.ca` that is none."""
    top = as_mapping(document.value) or {}
    endpoint = top.get("endpoint")
    if isinstance(endpoint, str) and _SCHEME.match(endpoint):
        yield _problem(document, ("endpoint",), "is a URL", "write host:port")
    ca = (as_mapping(top.get("tls")) or {}).get("ca")
    if isinstance(ca, str) and not _is_certificates(ca):
        hint = "give the PEM file encoded in base64: base64 -w0 ca.pem"
        yield _problem(document, ("tls", "ca"), "holds no certificate", hint)


def _is_certificates(ca: str) -> bool:
    try:
        return not ca or b"-----BEGIN CERTIFICATE-----" in base64.b64decode(ca, validate=True)
    except (binascii.Error, ValueError):
        return False


def _problem(document: Document, location: tuple[str, ...], message: str, hint: str) -> Problem:
    line, column = document.position(location)
    return Problem(line=line, column=column, where=dotted(location), message=message, hint=hint)
