"""What clients ask that cannot be, and how each is refused."""

import base64
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.text_format import Parse
from grpc.aio import AioRpcError
from jumpstarter_protocol import client_pb2

from jumpstarter_controller.services.conftest import (
    PARENT,
    Metadata,
    Site,
    refusal,
)

INVALID = grpc.StatusCode.INVALID_ARGUMENT
UNKNOWN = grpc.StatusCode.UNKNOWN
HOUR = timedelta(hours=1)


def reasons(lease: client_pb2.Lease) -> list[tuple[str, str, str]]:
    return [(item.type, item.status, item.reason) for item in lease.conditions]


async def listed(site: Site, who: Metadata, **fields: Any) -> list[str]:
    request = client_pb2.ListLeasesRequest(parent=PARENT, **fields)
    return [item.name for item in (await site.client.ListLeases(request, metadata=who)).leases]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"selector": ""}, INVALID),
        ({"tags": {str(number): "x" for number in range(11)}}, INVALID),
        ({"tags": {"jumpstarter.dev/x": "x"}}, INVALID),
        ({"tags": {"a b": "x"}}, INVALID),
        ({"tags": {"a": "x" * 64}}, INVALID),
        ({"selector": "a=b,a=c"}, UNKNOWN),
        ({"selector": "a<5"}, UNKNOWN),
        ({"selector": "a=" + "x" * 100_000}, UNKNOWN),
        ({"selector": "\x00"}, UNKNOWN),
        ({"context": {str(number): "x" for number in range(9)}}, UNKNOWN),
        ({"context": {"a": "x" * 65}}, UNKNOWN),
        ({"context": {"a" * 33: "x"}}, UNKNOWN),
        ({"exporter_name": "x" * 5000}, UNKNOWN),
    ],
)
async def test_a_lease_that_cannot_be(
    site: Site, fields: dict[str, Any], code: grpc.StatusCode
) -> None:
    ann = await site.new_client()
    await site.new_exporter()
    try:
        lease = await site.lease(ann, **fields)
    except AioRpcError as error:
        told, details = error.code(), error.details() or ""
    else:
        # A name that no exporter can have is one that none has.
        assert reasons(lease)[-1][2] == "ExporterNotFound"
        told, details = UNKNOWN, ""

    assert told is code
    assert "expired" not in details.lower()


@pytest.mark.parametrize(
    "text",
    [
        "duration { seconds: 0 }",
        "duration { seconds: -5 }",
        "duration { seconds: 9223372036854775807 }",
        "duration { seconds: 5 nanos: -1 }",
        "duration { seconds: 5 nanos: 2000000000 }",
        "begin_time { seconds: 9223372036854775807 } duration { seconds: 5 }",
        "begin_time { seconds: -9223372036854775808 } duration { seconds: 5 }",
        "begin_time { seconds: 5 nanos: -1 } duration { seconds: 5 }",
        "end_time { seconds: 253402300799 } duration { seconds: 5 }",
        "end_time { seconds: 2000000000 }",
        "begin_time { seconds: 2000000000 }",
        "begin_time { seconds: 2000000000 } end_time { seconds: 1900000000 }",
        "begin_time { seconds: 2000000000 } end_time { seconds: 2000000010 } duration { nanos: 1 }",
        "",
    ],
)
async def test_times_that_cannot_be(site: Site, text: str) -> None:

    ann = await site.new_client()
    lease = Parse(f'selector: "a" {text}', client_pb2.Lease())
    request = client_pb2.CreateLeaseRequest(parent=PARENT, lease=lease)

    assert (await refusal(site.client.CreateLease(request, metadata=ann)))[0] is UNKNOWN
    assert not (
        await site.client.ListLeases(
            client_pb2.ListLeasesRequest(parent=PARENT, only_active=False), metadata=ann
        )
    ).leases


async def test_a_lease_without_a_lease(site: Site) -> None:
    ann = await site.new_client()
    request = client_pb2.CreateLeaseRequest(parent=PARENT)

    assert (await refusal(site.client.CreateLease(request, metadata=ann)))[0] is INVALID


@pytest.mark.parametrize(
    "name",
    [
        "",
        "leases/x",
        f"{PARENT}/leases",
        f"{PARENT}/leases/",
        f"{PARENT}/exporters/x",
        f"{PARENT}/leases/x/y",
        "namespace/lab/leases/x",
        "namespaces//leases/x",
        "x" * 100_000,
    ],
)
async def test_names_of_another_form(site: Site, name: str) -> None:
    ann = await site.new_client()
    for call in (
        site.client.GetLease(client_pb2.GetLeaseRequest(name=name), metadata=ann),
        site.client.DeleteLease(client_pb2.DeleteLeaseRequest(name=name), metadata=ann),
        site.client.UpdateLease(
            client_pb2.UpdateLeaseRequest(lease=client_pb2.Lease(name=name)), metadata=ann
        ),
        site.client.WatchLease(client_pb2.WatchLeaseRequest(name=name), metadata=ann).read(),
    ):
        assert (await refusal(call))[0] is INVALID


@pytest.mark.parametrize("parent", ["", "lab", "namespaces", "namespaces/", f"{PARENT}/x"])
async def test_parents_of_another_form(site: Site, parent: str) -> None:
    ann = await site.new_client()
    for call in (
        site.client.ListLeases(client_pb2.ListLeasesRequest(parent=parent), metadata=ann),
        site.client.ListExporters(client_pb2.ListExportersRequest(parent=parent), metadata=ann),
        site.client.CreateLease(client_pb2.CreateLeaseRequest(parent=parent), metadata=ann),
        site.client.RotateToken(client_pb2.RotateTokenRequest(parent=parent), metadata=ann),
    ):
        assert (await refusal(call))[0] is INVALID


async def test_what_is_not_there_is_told_plainly_and_to_programs_exactly(site: Site) -> None:
    ann = await site.new_client()
    with pytest.raises(AioRpcError) as error:
        await site.client.GetLease(
            client_pb2.GetLeaseRequest(name=f"{PARENT}/leases/expired"), metadata=ann
        )

    assert error.value.code() is UNKNOWN
    assert dict(error.value.trailing_metadata())["jumpstarter-status"] == "NOT_FOUND"
    # The word at which shipped clients log in again.
    assert "expired" not in (error.value.details() or "")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"filter": "a<b"}, UNKNOWN),
        ({"tag_filter": "a<b"}, INVALID),
        ({"page_token": "garbage"}, UNKNOWN),
        ({"page_token": base64.b64encode(b"\xff\xfe").decode()}, UNKNOWN),
        ({"page_size": -1}, UNKNOWN),
        ({"page_size": -(2**31)}, UNKNOWN),
    ],
)
async def test_lists_that_cannot_be(
    site: Site, fields: dict[str, Any], code: grpc.StatusCode
) -> None:
    ann = await site.new_client()

    assert (await refusal(listed(site, ann, **fields)))[0] is code


async def test_messages_of_no_form_and_too_large(site: Site) -> None:
    ann = await site.new_client()
    path = "/jumpstarter.client.v1.ClientService/GetLease"
    for data, code in (
        (b"\xff\xff\xff", INVALID),
        (b"\x0a\x02\xff\xfe", INVALID),
        (b"\x0a" * 1000, INVALID),
        (bytes(5 * 1024 * 1024), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ):
        with pytest.raises(AioRpcError) as error:
            await site.channel.unary_unary(path)(data, metadata=ann)
        assert error.value.code() is code
    # The connection has outlived them all.
    assert await listed(site, ann) == []
