"""Every call, with whatever may stand in its request: a status that is meant, nothing half done.

The requests are made from the descriptors, so that a field that is added is tried out too.
"""

import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import anyio
import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc.aio import AioRpcError
from jumpstarter.rpc.writing import FAILURES, write

from jumpstarter_controller import data_directory
from jumpstarter_controller.keys import kept_key
from jumpstarter_controller.services.authorization_matrix_test import METHODS
from jumpstarter_controller.services.conftest import (
    NAMESPACE,
    PARENT,
    Metadata,
    Site,
    metadata,
)
from jumpstarter_controller.tokens import Kind, Subject, sign

Code = grpc.StatusCode
ROUNDS = 25
DEPTH = 4

MEANT = {
    Code.INVALID_ARGUMENT,
    Code.NOT_FOUND,
    Code.ALREADY_EXISTS,
    Code.PERMISSION_DENIED,
    Code.FAILED_PRECONDITION,
    Code.RESOURCE_EXHAUSTED,
    Code.UNAVAILABLE,
}

TEXTS = (
    "",
    PARENT,
    f"{PARENT}/leases/mine",
    f"{PARENT}/exporters/board",
    f"{PARENT}/clients/victim",
    f"{PARENT}/policies/open",
    f"{PARENT}/routers/far",
    "namespaces/other",
    "namespaces/other/leases/mine",
    "namespaces//leases/",
    f"{PARENT}/leases/mine/more",
    "mine",
    "board",
    "begin_time",
    "lease.name",
    "type=x",
    "a=b,c in (",
    "a in (x,y),!z,q!=1",
    "a=1,a=2",
    "a>1",
    "Expired",
    "' or 1=1 --",
    "../../etc/passwd",
    "%s%n{0}\n\r",
    "\x00",
    "\u202e\U0001f4a5\ufffe",
    "x" * 64,
    "x" * 100_000,
    "host:1",
    "host:99999",
)

NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: (0, 1, -1, 99, 2**31 - 1, -(2**31)),
    FieldDescriptor.CPPTYPE_INT64: (0, 1, -1, 3600, 2**63 - 1, -(2**63), 253402300800),
    FieldDescriptor.CPPTYPE_UINT32: (0, 1, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 1, 2**64 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: (0.0, -1.0, 1e308, float("nan"), float("inf")),
    FieldDescriptor.CPPTYPE_FLOAT: (0.0, -1.0, float("nan")),
    FieldDescriptor.CPPTYPE_BOOL: (False, True),
    FieldDescriptor.CPPTYPE_ENUM: (0, 1, 4, 99, -1),
}


def filled(message: Message, chance: random.Random, depth: int = 0) -> Message:
    """Set some fields of a message to what may stand there."""
    for field in cast("list[FieldDescriptor]", message.DESCRIPTOR.fields):
        if chance.random() < 0.3 or depth > DEPTH:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            fill_map(message, field, chance)
        elif field.is_repeated:
            for _ in range(chance.choice((1, 2, 3, 12))):
                add(message, field, chance, depth)
        elif field.message_type is not None:
            inner = getattr(message, field.name)
            inner.SetInParent()
            filled(inner, chance, depth + 1)
        else:
            setattr(message, field.name, value(field, chance))
    return message


def add(message: Message, field: FieldDescriptor, chance: random.Random, depth: int) -> None:
    items = getattr(message, field.name)
    if field.message_type is None:
        items.append(value(field, chance))
    else:
        filled(items.add(), chance, depth + 1)


def fill_map(message: Message, field: FieldDescriptor, chance: random.Random) -> None:
    assert field.message_type is not None
    entry = cast("dict[str, FieldDescriptor]", field.message_type.fields_by_name)
    key, content = entry["key"], entry["value"]
    for number in range(chance.choice((1, 3, 200))):
        text = value(key, chance) if number % 2 else f"key-{number}"
        getattr(message, field.name)[text] = value(content, chance)


def value(field: FieldDescriptor, chance: random.Random) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        text = chance.choice(TEXTS)
        return text if field.type == FieldDescriptor.TYPE_STRING else text.encode()
    return chance.choice(NUMBERS[field.cpp_type])


async def answer(site: Site, method: MethodDescriptor, data: bytes, who: Metadata) -> Any:
    """Make a call; return the error that ended it, or None."""
    assert method.containing_service is not None
    path = f"/{method.containing_service.full_name}/{method.name}"
    calls: Any = site.channel
    options: dict[str, Any] = {"metadata": who, "timeout": 20}
    try:
        if method.client_streaming:
            call = calls.stream_stream(path)(**options)
            # Who is refused while it still writes reads why.
            with suppress(*FAILURES):
                await write(call, data)
            await looked_at(call)
        elif method.server_streaming:
            await looked_at(calls.unary_stream(path)(data, **options))
        else:
            await calls.unary_unary(path)(data, **options)
    except AioRpcError as error:
        return error
    return None


async def looked_at(call: Any) -> None:
    """Read what comes at once; a stream that is not refused goes on for ever."""
    with anyio.move_on_after(0.1):
        while await call.read() is not grpc.aio.EOF:
            pass
    call.cancel()


async def state(site: Site) -> object:
    """Return everything that a call could change."""
    engine = site.controller.engine
    return (
        [*await engine.list_clients(NAMESPACE)],
        (await engine.list_exporters(NAMESPACE)).items,
        (await engine.list_leases(NAMESPACE, only_active=False)).items,
        [*await engine.list_policies(NAMESPACE)],
        [site.controller.identities.listed(kind, NAMESPACE) for kind in (Kind.ADMIN, Kind.ROUTER)],
    )


def signed(site: Site, subject: Subject) -> str:
    key = kept_key(site.controller.config.data / data_directory.TOKEN_KEY)
    return sign(key, subject, datetime.now(UTC), timedelta(days=1)).token


async def caller(site: Site, kind: Kind) -> Metadata:
    """Return somebody new of a kind."""
    name = f"caller-{random.randrange(10**12)}"
    match kind:
        case Kind.CLIENT:
            return await site.new_client(name)
        case Kind.EXPORTER:
            return await site.new_exporter(name)
        case Kind.ADMIN:
            return site.root
        case Kind.ROUTER:
            member = site.controller.identities.add(kind, NAMESPACE, name)
            return metadata(signed(site, member.subject), kind, name)


async def furnish(site: Site) -> None:
    """See to it that the names in requests are of something, mostly."""
    engine = site.controller.engine
    if not [one for one in await engine.list_clients(NAMESPACE) if one.name == "victim"]:
        await engine.create_client(NAMESPACE, "victim")
    names = [one.name for one in (await engine.list_exporters(NAMESPACE)).items]
    if "board" not in names:
        await site.new_exporter("board", type="x")


def judge(error: AioRpcError, what: str) -> None:
    trailing: dict[str, str] = dict(cast("Any", error.trailing_metadata()) or ())
    code, details = error.code(), error.details() or ""
    actual = Code[trailing.get("jumpstarter-status", code.name)]
    assert actual in MEANT, f"{what}: {code} {actual} {details}"
    assert code in {actual, Code.UNKNOWN}, what
    assert details, what
    assert "\n" not in details, what
    assert "expired" not in details.lower(), what
    assert len(details) < 5000, what


@pytest.mark.parametrize(
    ("method", "kind"), METHODS, ids=[method.full_name for method, _ in METHODS]
)
async def test_a_status_that_is_meant_and_nothing_half_done(
    site: Site, method: MethodDescriptor, kind: Kind
) -> None:
    chance = random.Random(method.full_name)
    who = await caller(site, kind)
    await site.new_router()
    refused = 0
    for _ in range(ROUNDS):
        await furnish(site)
        request = filled(GetMessageClass(method.input_type)(), chance)
        before = await state(site)
        error = await answer(site, method, request.SerializeToString(), who)
        if error is None:
            if method.name == "RotateToken":
                who = await caller(site, kind)
            continue
        refused += 1
        judge(error, f"{method.name}({str(request)[:1000]})")
        assert await state(site) == before, f"{method.name} was refused and did something"
    if method.input_type.fields and method.name not in ANY_WILL_DO:
        assert refused, "nothing was tried"


ANY_WILL_DO = {"Unregister", "ReportStatus"}
"""Calls in which there is nothing that could be wrong."""
