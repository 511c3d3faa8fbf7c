"""The order of the checks: of several faults, the first in the order is told."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc
import jwt
import pytest

from jumpstarter_controller.keys import make_key
from jumpstarter_controller.services.auth import (
    Auth,
    Caller,
    Identity,
    InternalAuthenticator,
    Known,
    Metadata,
    remote_ip,
)
from jumpstarter_controller.services.statuses import Refusal
from jumpstarter_controller.tokens import Kind, Subject, TokenError, sign

Code = grpc.StatusCode
NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY, OTHER = make_key(), make_key()
ANN = Subject(kind=Kind.CLIENT, namespace="lab", name="ann", uid="u-1", generation=2)


def token(subject: Subject = ANN, made: datetime = NOW) -> str:
    return sign(KEY, subject, made, timedelta(hours=1)).token


@dataclass
class External:
    """The authenticator of another issuer, whose tokens are those of one user."""

    username: str = "dex:Foo"
    issuer: str = "https://dex.example.com"

    async def identify(self, _token: str, _now: datetime) -> Identity:
        return Identity(self.username, None)


class Deaf:
    """An authenticator of our issuer, asked before ours."""

    issuer = "https://localhost:8085"

    async def identify(self, _token: str, _now: datetime) -> Identity:
        raise TokenError("not mine")


def known(kind: Kind, username: str | None = None) -> Callable[..., Awaitable[Known | None]]:
    async def lookup(wanted: Kind, namespace: str, name: str) -> Known | None:
        if (wanted, namespace) != (kind, "lab") or name not in {"ann", "foo"}:
            return None
        return Known("u-1", 2, username)

    return lookup


def auth(username: str | None = None) -> Auth:
    authenticators = [External(), InternalAuthenticator([KEY.public])]
    return Auth(authenticators, known(Kind.CLIENT, username), lambda: NOW)


def said(**changes: str | None) -> Metadata:
    """Return good metadata with changes; None leaves a key out."""
    good = {
        "authorization": f"Bearer {token()}",
        "jumpstarter-kind": "Client",
        "jumpstarter-namespace": "lab",
        "jumpstarter-name": "ann",
    }
    changed = {key.replace("_", "-"): value for key, value in changes.items()}
    return [(key, value) for key, value in {**good, **changed}.items() if value is not None]


async def refused(metadata: Metadata, decides: Auth | None = None) -> tuple[Code, str]:
    with pytest.raises(Refusal) as error:
        await (decides or auth()).check(metadata, [Kind.CLIENT])
    return error.value.code, error.value.details


async def test_the_caller_is_found() -> None:
    caller = Caller(Kind.CLIENT, "lab", "ann", "u-1", 2)

    assert await auth().check(said(), [Kind.EXPORTER, Kind.CLIENT]) == caller
    lower = said(authorization=f"bEARER {token()}")
    assert await auth().check(lower, [Kind.CLIENT]) == caller


async def test_each_check_comes_before_the_next() -> None:
    """Each row mends the fault of the row before; all faults of the rows below are there."""
    stale = Subject(kind=Kind.CLIENT, namespace="lab", name="ann", uid="u-0", generation=1)
    worse = {"jumpstarter_kind": None, "jumpstarter_name": ""}
    rows: list[tuple[Metadata, Code, str]] = [
        ([], Code.INVALID_ARGUMENT, "no metadata"),
        ([("user-agent", "x")], Code.UNAUTHENTICATED, "no authorization"),
        (said(authorization="x", **worse), Code.INVALID_ARGUMENT, "bearer"),
        (said(authorization="Bearer x", **worse), Code.UNKNOWN, "JSON"),
        (
            said(authorization=f"Bearer {token(stale, NOW - timedelta(days=1))}", **worse),
            Code.UNKNOWN,
            "token is expired",
        ),
        (said(authorization=f"Bearer {token(stale)}", **worse), Code.INVALID_ARGUMENT, "kind"),
        (
            said(
                authorization=f"Bearer {token(stale)}",
                jumpstarter_kind="Exporter",
                jumpstarter_name="",
            ),
            Code.INVALID_ARGUMENT,
            "jumpstarter-name",
        ),
        (
            said(
                authorization=f"Bearer {token(stale)}",
                jumpstarter_kind="Exporter",
                jumpstarter_name="bob",
            ),
            Code.INVALID_ARGUMENT,
            "object kind mismatch",
        ),
        (
            said(authorization=f"Bearer {token(stale)}", jumpstarter_name="bob"),
            Code.UNKNOWN,
            "client lab/bob not found",
        ),
        (
            said(authorization=f"Bearer {token(stale)}"),
            Code.PERMISSION_DENIED,
            "permission denied for client lab/ann",
        ),
    ]
    for metadata, code, words in rows:
        told, details = await refused(metadata)

        assert (told, words in details) == (code, True), details


async def test_an_older_generation_is_revoked() -> None:
    old = Subject(kind=Kind.CLIENT, namespace="lab", name="ann", uid="u-1", generation=1)
    code, details = await refused(said(authorization=f"Bearer {token(old)}"))

    assert (code, "revoked" in details) == (Code.UNKNOWN, True)


async def test_the_first_authenticator_of_the_issuer_decides() -> None:
    decides = Auth([Deaf(), InternalAuthenticator([KEY.public])], known(Kind.CLIENT), lambda: NOW)

    assert await refused(said(), decides) == (Code.UNKNOWN, "not mine")


async def test_no_authenticator_of_the_issuer() -> None:
    decides = Auth([External()], known(Kind.CLIENT), lambda: NOW)

    assert "issuer" in (await refused(said(), decides))[1]


def external() -> str:

    return jwt.encode({"iss": External().issuer}, OTHER.private, algorithm="ES256")


async def test_a_user_from_elsewhere_acts_as_the_name_that_follows() -> None:
    metadata = said(authorization=f"Bearer {external()}", jumpstarter_name="")
    caller = await auth("dex:Foo").check(metadata, [Kind.CLIENT])

    assert (caller.name, caller.generation) == ("foo", None)


async def test_a_user_from_elsewhere_who_claims_to_be_ours() -> None:
    impostor = External("internal:" + ANN.text)
    decides = Auth([impostor], known(Kind.CLIENT), lambda: NOW)
    code, _ = await refused(said(authorization=f"Bearer {external()}"), decides)

    assert code is Code.UNKNOWN


async def test_a_user_from_elsewhere_whom_nobody_named() -> None:
    metadata = said(authorization=f"Bearer {external()}", jumpstarter_name="foo")
    code, details = await refused(metadata)

    assert (code, details) == (Code.PERMISSION_DENIED, "permission denied for client lab/foo")


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.1.2.3:4567", "10.1.2.3"),
        ("ipv6:%5B::1%5D:4567", "::1"),
        ("ipv6:[fe80::1%25eth0]:4567", "fe80::1"),
        ("unix:", "unix"),
        ("", ""),
    ],
)
def test_the_address_of_a_peer_has_no_port(peer: str, address: str) -> None:
    assert remote_ip(peer) == address
