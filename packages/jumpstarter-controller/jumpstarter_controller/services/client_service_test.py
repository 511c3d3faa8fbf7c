"""What clients ask about exporters and leases, and how each bad request is refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from jumpstarter.model.status import ExporterStatus as Status
from jumpstarter_protocol import client_pb2

from jumpstarter_controller.config import Config
from jumpstarter_controller.services.conftest import (
    PARENT,
    Metadata,
    Site,
    bare,
    refusal,
    running_site,
)
from jumpstarter_controller.services.messages import LabelRules

INVALID = grpc.StatusCode.INVALID_ARGUMENT
UNKNOWN = grpc.StatusCode.UNKNOWN
HOUR = timedelta(hours=1)


def reasons(lease: client_pb2.Lease) -> list[tuple[str, str, str]]:
    return [(item.type, item.status, item.reason) for item in lease.conditions]


async def update(
    site: Site, who: Metadata, lease: client_pb2.Lease, *paths: str, **fields: Any
) -> client_pb2.Lease:
    wanted = client_pb2.Lease(name=lease.name, **fields)
    mask = FieldMask(paths=paths) if paths else None
    request = client_pb2.UpdateLeaseRequest(lease=wanted, update_mask=mask)
    return await site.client.UpdateLease(request, metadata=who)


async def exporter(site: Site, who: Metadata, name: str, *, show: bool) -> client_pb2.Exporter:
    request = client_pb2.GetExporterRequest(
        name=f"{PARENT}/exporters/{name}", show_hidden_labels=show
    )
    return await site.client.GetExporter(request, metadata=who)


async def test_a_free_exporter_is_granted_in_the_answer(site: Site) -> None:
    ann = await site.new_client()
    await site.new_exporter(board="rpi4")
    lease = await site.lease(
        ann, selector="board == rpi4", tags={"build": "7"}, context={"image": "a:b"}
    )

    assert lease.name.startswith(f"{PARENT}/leases/")
    assert (lease.client, lease.exporter) == (f"{PARENT}/clients/ann", f"{PARENT}/exporters/board")
    assert lease.selector == "board=rpi4"
    assert reasons(lease)[-1] == ("Ready", "True", "Ready")
    assert (dict(lease.tags), dict(lease.context)) == ({"build": "7"}, {"image": "a:b"})
    assert lease.duration.seconds == 3600
    assert lease.effective_begin_time.nanos == 0
    assert lease.HasField("effective_duration")
    assert not lease.HasField("effective_end_time")
    assert not lease.HasField("end_time")
    assert not lease.HasField("waiting")


async def test_a_lease_that_waits_knows_its_place(site: Site) -> None:
    ann, bob = await site.new_client(), await site.new_client("bob")
    await site.new_exporter()
    held, first, second = [await site.lease(who) for who in (ann, ann, bob)]

    assert (second.waiting.position, second.waiting.reason) == (2, "NotAvailable")
    assert second.waiting.message
    assert [item.name for item in second.waiting.ahead] == [first.name]
    (holder,) = second.waiting.holders
    assert (holder.name, holder.client) == (held.name, f"{PARENT}/clients/ann")
    assert holder.exporter == f"{PARENT}/exporters/board"
    assert holder.HasField("until")
    assert not second.exporter
    assert reasons(second) == [("Pending", "True", "NotAvailable")]


async def test_ready_is_last_after_waiting(site: Site) -> None:
    ann = await site.new_client()
    await site.new_exporter()
    held, lease = await site.lease(ann), await site.lease(ann)
    await site.client.DeleteLease(client_pb2.DeleteLeaseRequest(name=held.name), metadata=ann)
    lease = await site.get(ann, lease)

    assert [item[:2] for item in reasons(lease)] == [("Pending", "True"), ("Ready", "True")]


async def test_a_watch_tells_each_change_until_the_end(site: Site) -> None:
    ann = await site.new_client()
    await site.new_exporter()
    held, lease = await site.lease(ann), await site.lease(ann)
    watch = site.client.WatchLease(client_pb2.WatchLeaseRequest(name=lease.name), metadata=ann)
    seen = [await watch.read()]
    for name in (held.name, lease.name):
        await site.client.DeleteLease(client_pb2.DeleteLeaseRequest(name=name), metadata=ann)
        seen.append(await watch.read())

    assert [reasons(item)[-1] for item in seen if isinstance(item, client_pb2.Lease)] == [
        ("Pending", "True", "NotAvailable"),
        ("Ready", "True", "Ready"),
        ("Ready", "False", "Released"),
    ]
    with anyio.fail_after(10):
        assert await watch.read() == grpc.aio.EOF


async def test_watching_what_is_not_there(site: Site) -> None:
    ann = await site.new_client()
    request = client_pb2.WatchLeaseRequest(name=f"{PARENT}/leases/none")

    assert (await refusal(site.client.WatchLease(request, metadata=ann).read()))[0] is UNKNOWN


async def test_a_selector_that_nothing_matches(site: Site) -> None:
    ann = await site.new_client()
    await site.new_exporter()
    lease = await site.lease(ann, selector="board=none")

    assert reasons(lease) == [("Unsatisfiable", "True", "NoAccess")]
    assert lease.HasField("effective_end_time")


async def test_a_named_exporter_alone_has_no_selector(site: Site) -> None:
    ann = await site.new_client()
    await site.new_exporter()
    lease = await site.lease(ann, selector="", exporter_name="board")

    assert (lease.selector, lease.exporter_name) == ("<none>", "board")


async def test_a_name_may_be_chosen_once(site: Site) -> None:
    ann = await site.new_client()
    lease = client_pb2.Lease(selector="a")
    lease.duration.FromSeconds(5)
    request = client_pb2.CreateLeaseRequest(parent=PARENT, lease=lease, lease_id="mine")
    made = await site.client.CreateLease(request, metadata=ann)

    assert bare(made) == "mine"
    for name in ("mine", "No Name", "x" * 300, "../x"):
        request.lease_id = name
        assert (await refusal(site.client.CreateLease(request, metadata=ann)))[0] is UNKNOWN


async def test_an_update_changes_what_its_mask_names(site: Site) -> None:
    ann = await site.new_client()
    await site.new_exporter()
    lease = await site.lease(ann)
    begin = datetime(2100, 1, 1, tzinfo=UTC)

    longer = await update(site, ann, lease, "duration", duration=2 * HOUR, begin_time=begin)
    assert longer.duration.seconds == 7200
    assert not longer.HasField("begin_time")
    unmasked = await update(site, ann, lease, duration=3 * HOUR)
    assert unmasked.duration.seconds == 10800


async def test_a_begin_alone_is_an_update(site: Site) -> None:
    ann = await site.new_client()
    lease = await site.lease(ann, begin_time=datetime(2100, 1, 1, tzinfo=UTC))
    later = datetime(2100, 1, 2, tzinfo=UTC)
    changed = await update(site, ann, lease, "begin_time", begin_time=later)

    assert changed.begin_time.ToDatetime(UTC) == later
    assert changed.duration.seconds == 3600


@pytest.mark.parametrize("path", ["selector", "*", "name", "duration.seconds", "", "x" * 5000])
async def test_a_mask_that_names_what_cannot_be_changed(site: Site, path: str) -> None:
    ann = await site.new_client()
    lease = await site.lease(ann)

    code, _ = await refusal(update(site, ann, lease, path, duration=HOUR))
    assert code is INVALID


async def test_a_lease_is_handed_on(site: Site) -> None:
    ann, bob = await site.new_client(), await site.new_client("bob")
    board = await site.new_exporter()
    await site.new_router()
    lease = await site.lease(ann)
    await site.report(board, Status.LEASE_READY)
    changed = await update(site, ann, lease, "client", client=f"{PARENT}/clients/bob")

    assert changed.client == f"{PARENT}/clients/bob"
    async with site.listening(board, lease):
        assert "permission denied" in (await refusal(site.dial(ann, lease)))[1]
        assert (await site.dial(bob, lease)).router_token
    assert (await refusal(update(site, ann, lease, duration=HOUR)))[0] is UNKNOWN


@pytest.mark.parametrize(
    ("client", "code"),
    [
        (f"{PARENT}/clients/nobody", UNKNOWN),
        ("namespaces/other/clients/ann", INVALID),
        ("ann", INVALID),
        ("", INVALID),
    ],
)
async def test_a_lease_is_not_handed_to_nobody(
    site: Site, client: str, code: grpc.StatusCode
) -> None:
    ann = await site.new_client()
    await site.new_exporter()
    lease = await site.lease(ann)

    assert (await refusal(update(site, ann, lease, "client", client=client)))[0] is code


async def test_deleting_twice_and_anothers(site: Site) -> None:
    ann, bob = await site.new_client(), await site.new_client("bob")
    lease = await site.lease(ann)
    request = client_pb2.DeleteLeaseRequest(name=lease.name)

    code, details = await refusal(site.client.DeleteLease(request, metadata=bob))
    assert (code, "permission denied" in details) == (UNKNOWN, True)
    await site.client.DeleteLease(request, metadata=ann)
    assert (await refusal(site.client.DeleteLease(request, metadata=ann)))[
        0
    ] is grpc.StatusCode.FAILED_PRECONDITION


async def listed(site: Site, who: Metadata, **fields: Any) -> list[str]:
    request = client_pb2.ListLeasesRequest(parent=PARENT, **fields)
    return [item.name for item in (await site.client.ListLeases(request, metadata=who)).leases]


async def test_leases_are_listed_by_selector_tag_and_end(site: Site) -> None:
    ann, bob = await site.new_client(), await site.new_client("bob")
    await site.new_exporter(board="rpi4")
    one = await site.lease(ann, selector="board=rpi4,!x", tags={"build": "7"})
    two = await site.lease(bob, selector="board=rpi4")
    await site.client.DeleteLease(client_pb2.DeleteLeaseRequest(name=one.name), metadata=ann)

    assert await listed(site, ann) == [two.name]
    assert await listed(site, ann, only_active=False) == [one.name, two.name]
    assert await listed(site, ann, only_active=False, tag_filter="build=7") == [one.name]
    assert await listed(site, ann, only_active=False, filter="board=rpi4") == [one.name, two.name]
    assert await listed(site, ann, only_active=False, filter="board=none") == []


async def test_lists_come_in_pages(site: Site) -> None:
    ann = await site.new_client()
    names = [f"e{number}" for number in range(5)]
    for name in reversed(names):
        await site.new_exporter(name, ready=False)
    pages: list[list[str]] = []
    token = ""
    while token or not pages:
        answer = await site.client.ListExporters(
            client_pb2.ListExportersRequest(parent=PARENT, page_size=2, page_token=token),
            metadata=ann,
        )
        pages.append([item.name.rpartition("/")[2] for item in answer.exporters])
        token = answer.next_page_token

    assert pages == [names[:2], names[2:4], names[4:]]


async def test_labels_that_are_hidden_or_going_away(config: Config) -> None:
    rules = LabelRules(hidden=frozenset({"rack"}), deprecated={"old": "use new"})
    async with running_site(replace(config, rules=rules)) as site:
        ann = await site.new_client()
        await site.new_exporter(rack="7", old="x", new="x")
        seen = await exporter(site, ann, "board", show=False)
        all_ = await exporter(site, ann, "board", show=True)
        lease = await site.lease(ann, selector="old=x,new=x")

    assert dict(seen.labels) == {"new": "x"}
    assert dict(all_.labels) == {"rack": "7", "old": "x", "new": "x"}
    assert dict(seen.deprecated_labels) == dict(lease.deprecated_labels) == {"old": "use new"}
    assert (seen.enabled, seen.status) == (True, Status.AVAILABLE)
    assert seen.HasField("enabled")
