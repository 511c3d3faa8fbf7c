"""Every call refuses every wrong identity, and says why in the words that are fixed."""

import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from grpc.aio import AioRpcError, Channel
from jumpstarter.logging import JsonFormatter
from jumpstarter_protocol import admin_pb2, client_pb2, jumpstarter_pb2

from jumpstarter_controller import data_directory
from jumpstarter_controller.keys import SigningKey, kept_key, make_key
from jumpstarter_controller.services.conftest import NAMESPACE, PARENT, Metadata, Site, metadata
from jumpstarter_controller.tokens import (
    Kind,
    Side,
    StreamGrant,
    Subject,
    issuer_of,
    sign,
    sign_stream,
)

Code = grpc.StatusCode
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
MARKER = "bWFya2VyLW9mLXRoZS10b2tlbg"

CLIENTS_OF_CONTROLLER = {"Dial", "GetLease", "RequestLease", "ListLeases", "ReleaseLease"}
UNIMPLEMENTED = {"AuditStream"}


def methods() -> Iterator[tuple[MethodDescriptor, Kind]]:
    """Yield every call of every service, and who may make it."""
    services = {
        jumpstarter_pb2.DESCRIPTOR.services_by_name["ControllerService"]: Kind.EXPORTER,
        client_pb2.DESCRIPTOR.services_by_name["ClientService"]: Kind.CLIENT,
        admin_pb2.DESCRIPTOR.services_by_name["AdminService"]: Kind.ADMIN,
        admin_pb2.DESCRIPTOR.services_by_name["RouterRegistryService"]: Kind.ROUTER,
    }
    for service, kind in services.items():
        for method in service.methods:
            of_client = service.name == "ControllerService" and method.name in CLIENTS_OF_CONTROLLER
            if method.name not in UNIMPLEMENTED:
                yield method, Kind.CLIENT if of_client else kind


METHODS = list(methods())


async def answer(channel: Channel, method: MethodDescriptor, who: Metadata) -> tuple[Code, str]:
    """Make a call with an empty request; return how it ended."""
    assert method.containing_service is not None
    path = f"/{method.containing_service.full_name}/{method.name}"
    calls: Any = channel
    options: dict[str, Any] = {"metadata": who, "timeout": 10}
    try:
        if method.client_streaming:
            await anext(aiter(calls.stream_stream(path)(nothing(), **options)))
        elif method.server_streaming:
            await anext(aiter(calls.unary_stream(path)(b"", **options)))
        else:
            await calls.unary_unary(path)(b"", **options)
    except AioRpcError as error:
        return error.code(), error.details() or ""
    return Code.OK, ""


async def nothing() -> AsyncIterator[bytes]:
    yield b""


@dataclass(frozen=True)
class People:
    """Two of each kind, and the key that signed their tokens."""

    key: SigningKey
    one: dict[Kind, Subject]
    two: dict[Kind, Subject]

    def token(self, kind: Kind, **changes: Any) -> str:
        told = {name: getattr(self.one[kind], name) for name in Subject.__slots__} | changes
        return sign(self.key, Subject(**told), NOW, DAY).token

    def good(self, kind: Kind) -> Metadata:
        return metadata(self.token(kind), kind, self.one[kind].name)


async def people(site: Site) -> People:
    controller = site.controller
    subjects: list[dict[Kind, Subject]] = []
    for name in ("one", "two"):
        client = await controller.engine.create_client(NAMESPACE, name)
        exporter = await controller.engine.create_exporter(NAMESPACE, name)
        found = {
            kind: controller.identities.add(kind, NAMESPACE, name).subject
            for kind in (Kind.ADMIN, Kind.ROUTER)
        }
        for kind, made in ((Kind.CLIENT, client), (Kind.EXPORTER, exporter)):
            found[kind] = Subject(
                kind=kind,
                namespace=NAMESPACE,
                name=name,
                uid=made.uid,
                generation=made.token_generation,
            )
        subjects.append(found)
    key = kept_key(controller.config.data / data_directory.TOKEN_KEY)
    return People(key, *subjects)


OTHER_KIND = {
    Kind.CLIENT: Kind.EXPORTER,
    Kind.EXPORTER: Kind.ROUTER,
    Kind.ADMIN: Kind.CLIENT,
    Kind.ROUTER: Kind.ADMIN,
}

Wrong = Callable[[People, Kind], Metadata]


def replaced(who: Metadata, key: str, *values: str) -> Metadata:
    return (*(pair for pair in who if pair[0] != key), *((key, value) for value in values))


def authorized(people: People, kind: Kind, *values: str) -> Metadata:
    return replaced(people.good(kind), "authorization", *values)


def expired(people: People, kind: Kind) -> Metadata:
    old = sign(people.key, people.one[kind], NOW - 2 * DAY, DAY).token
    return authorized(people, kind, f"Bearer {old}")


def of_other_kind(people: People, kind: Kind) -> Metadata:
    return people.good(OTHER_KIND[kind])


def of_other_kind_that_lies(people: People, kind: Kind) -> Metadata:
    return authorized(people, kind, f"Bearer {people.token(OTHER_KIND[kind])}")


def stream_token(people: People, kind: Kind) -> Metadata:
    grant = StreamGrant(stream="s", lease="l", fence=1)
    return authorized(people, kind, f"Bearer {sign_stream(people.key, grant, Side.CLIENT, NOW)}")


def foreign_key(people: People, kind: Kind) -> Metadata:
    return authorized(people, kind, f"Bearer {sign(make_key(), people.one[kind], NOW, DAY).token}")


DENIED = Code.PERMISSION_DENIED, "permission denied for"
INVALID = Code.INVALID_ARGUMENT

WRONG: dict[str, tuple[Wrong, Code, str]] = {
    "no authorization": (lambda p, k: authorized(p, k), Code.UNAUTHENTICATED, ""),
    "two authorizations": (lambda p, k: authorized(p, k, "Bearer a", "Bearer b"), INVALID, ""),
    "no bearer": (lambda p, k: authorized(p, k, f"Basic {p.token(k)}"), INVALID, ""),
    "no token": (lambda p, k: authorized(p, k, "Bearer "), INVALID, ""),
    "garbage": (lambda p, k: authorized(p, k, "Bearer garbage"), Code.UNKNOWN, "not a JSON"),
    "expired": (expired, Code.UNKNOWN, "token is expired"),
    "foreign key": (foreign_key, Code.UNKNOWN, "signature"),
    "stream token": (stream_token, Code.UNKNOWN, "issuer"),
    "no kind": (lambda p, k: replaced(p.good(k), "jumpstarter-kind"), INVALID, "kind"),
    "two kinds": (lambda p, k: replaced(p.good(k), "jumpstarter-kind", k, k), INVALID, "kind"),
    "kind in capitals": (
        lambda p, k: replaced(p.good(k), "jumpstarter-kind", k.upper()),
        INVALID,
        "object kind mismatch",
    ),
    "no namespace": (
        lambda p, k: replaced(p.good(k), "jumpstarter-namespace"),
        INVALID,
        "namespace",
    ),
    "two namespaces": (
        lambda p, k: replaced(p.good(k), "jumpstarter-namespace", NAMESPACE, NAMESPACE),
        INVALID,
        "namespace",
    ),
    "no name": (lambda p, k: replaced(p.good(k), "jumpstarter-name"), INVALID, "name"),
    "other kind": (of_other_kind, INVALID, "object kind mismatch"),
    "other kind that lies": (of_other_kind_that_lies, *DENIED),
    "other namespace": (
        lambda p, k: replaced(p.good(k), "jumpstarter-namespace", "other"),
        Code.UNKNOWN,
        "not found",
    ),
    "other name": (lambda p, k: replaced(p.good(k), "jumpstarter-name", "two"), *DENIED),
    "nobody's name": (
        lambda p, k: replaced(p.good(k), "jumpstarter-name", "three"),
        Code.UNKNOWN,
        "not found",
    ),
    "other uid": (
        lambda p, k: authorized(p, k, f"Bearer {p.token(k, uid='00000000')}"),
        *DENIED,
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_no_call_takes_a_wrong_identity(site: Site, wrong: str) -> None:
    somebody = await people(site)
    make, code, words = WRONG[wrong]
    found = {
        method.full_name: await answer(site.channel, method, make(somebody, kind))
        for method, kind in METHODS
        if not (wrong == "other kind" and method.name == "ReleaseLease")
    }

    assert {
        name: told for name, told in found.items() if told[0] is not code or words not in told[1]
    } == {}
    if wrong != "expired":
        assert not any("expired" in details for _, details in found.values())


async def test_the_right_identity_is_let_in(site: Site) -> None:
    """So that the matrix does not pass because every call is refused."""
    somebody = await people(site)
    streams = {"Status", "Register"}
    for method, kind in METHODS:
        if method.name in {"RotateToken", *streams}:
            continue
        code, details = await answer(site.channel, method, somebody.good(kind))

        assert (code, details) not in [
            (Code.UNAUTHENTICATED, details),
            (Code.PERMISSION_DENIED, details),
        ]
        assert "kind mismatch" not in details
        assert "token" not in details


async def void(site: Site, how: str) -> None:
    engine, identities = site.controller.engine, site.controller.identities
    if how == "revoked":
        for kind in ("Client", "Exporter"):
            await engine.rotate(kind, NAMESPACE, "one")
        for member in (Kind.ADMIN, Kind.ROUTER):
            identities.rotate(member, NAMESPACE, "one")
        return
    await engine.delete_client(NAMESPACE, "one")
    await engine.delete_exporter(NAMESPACE, "one")
    for member in (Kind.ADMIN, Kind.ROUTER):
        identities.remove(member, NAMESPACE, "one")
    if how == "recreated":
        await engine.create_client(NAMESPACE, "one")
        await engine.create_exporter(NAMESPACE, "one")
        for member in (Kind.ADMIN, Kind.ROUTER):
            identities.add(member, NAMESPACE, "one")


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("revoked", Code.UNKNOWN, "revoked"),
        ("deleted", Code.UNKNOWN, "one not found"),
        ("recreated", *DENIED),
    ],
)
async def test_no_call_takes_a_token_that_became_void(
    site: Site, how: str, code: Code, words: str
) -> None:
    somebody = await people(site)
    await void(site, how)
    found = {
        method.full_name: await answer(site.channel, method, somebody.good(kind))
        for method, kind in METHODS
    }

    assert {
        name: told for name, told in found.items() if told[0] is not code or words not in told[1]
    } == {}


def log_of(logger: str) -> tuple[io.StringIO, logging.Handler]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.getLogger(logger).addHandler(handler)
    return stream, handler


@pytest.mark.parametrize("kind", [Kind.CLIENT, Kind.EXPORTER])
async def test_a_refusal_is_logged_once_with_the_address_and_without_the_token(
    site: Site, kind: Kind
) -> None:
    somebody = await people(site)
    stream, handler = log_of("jumpstarter_controller")
    method = next(method for method, wanted in METHODS if wanted is kind)
    good = somebody.token(kind)
    assert issuer_of(good)
    head, _, _ = good.rpartition(".")
    try:
        await answer(site.channel, method, authorized(somebody, kind, f"Bearer {head}.{MARKER}"))
    finally:
        logging.getLogger("jumpstarter_controller").removeHandler(handler)
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)

    assert told["message"] == f"{kind.lower()} authentication failed"
    assert told["peer"] == "127.0.0.1"
    assert "signature" in told["error"]
    assert MARKER not in line
    assert head not in line


NAMED = [
    ("client", "GetExporter", client_pb2.GetExporterRequest(name="namespaces/other/exporters/x")),
    ("client", "ListExporters", client_pb2.ListExportersRequest(parent="namespaces/other")),
    ("client", "GetLease", client_pb2.GetLeaseRequest(name="namespaces/other/leases/x")),
    ("client", "ListLeases", client_pb2.ListLeasesRequest(parent="namespaces/other")),
    (
        "client",
        "CreateLease",
        client_pb2.CreateLeaseRequest(
            parent="namespaces/other", lease=client_pb2.Lease(selector="a=b")
        ),
    ),
    (
        "client",
        "UpdateLease",
        client_pb2.UpdateLeaseRequest(lease=client_pb2.Lease(name="namespaces/other/leases/x")),
    ),
    ("client", "DeleteLease", client_pb2.DeleteLeaseRequest(name="namespaces/other/leases/x")),
    ("client", "RotateToken", client_pb2.RotateTokenRequest(parent="namespaces/other")),
    ("admin", "CreateClient", admin_pb2.CreateClientRequest(parent="namespaces/other")),
    ("admin", "DeleteClient", admin_pb2.DeleteClientRequest(name="namespaces/other/clients/one")),
    ("admin", "ListClients", admin_pb2.ListClientsRequest(parent="namespaces/other")),
    (
        "admin",
        "RotateCredential",
        admin_pb2.RotateCredentialRequest(name="namespaces/other/clients/one"),
    ),
    ("admin", "ReleaseLease", admin_pb2.ReleaseLeaseRequest(name="namespaces/other/leases/x")),
    (
        "admin",
        "PutPolicy",
        admin_pb2.PutPolicyRequest(policy=admin_pb2.Policy(name="namespaces/other/policies/x")),
    ),
]


@pytest.mark.parametrize(("service", "name", "request_"), NAMED, ids=lambda value: str(value)[:20])
async def test_no_call_reaches_another_namespace(
    site: Site, service: str, name: str, request_: Any
) -> None:
    somebody = await people(site)
    stub: Any = getattr(site, service)
    who = somebody.good(Kind.CLIENT if service == "client" else Kind.ADMIN)
    with pytest.raises(AioRpcError) as error:
        await getattr(stub, name)(request_, metadata=who)

    assert error.value.code() is Code.PERMISSION_DENIED
    assert error.value.details() == "namespace mismatch"


async def test_rotation_ends_the_old_token_at_once_and_the_new_one_works(site: Site) -> None:
    ann = await site.new_client()
    request = client_pb2.RotateTokenRequest(parent=PARENT)
    tokens = set[str]()
    rotated = client_pb2.RotateTokenResponse()
    for _ in range(2):
        rotated = await site.client.RotateToken(request, metadata=ann)
        with pytest.raises(AioRpcError, match="revoked"):
            await site.client.ListLeases(client_pb2.ListLeasesRequest(parent=PARENT), metadata=ann)
        ann = metadata(rotated.token, "Client", "ann")
        tokens.add(rotated.token)
    await site.client.ListLeases(client_pb2.ListLeasesRequest(parent=PARENT), metadata=ann)

    assert len(tokens) == 2
    assert rotated.expiry.ToDatetime(UTC) > NOW + 300 * DAY
