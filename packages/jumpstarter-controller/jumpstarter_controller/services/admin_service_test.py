"""What administrators do: clients, exporters, routers, their credentials, policies, leases."""

from datetime import timedelta
from typing import Any

import grpc
import pytest
from jumpstarter.model.status import ExporterStatus as Status
from jumpstarter_protocol import admin_pb2, client_pb2

from jumpstarter_controller.services.conftest import PARENT, Metadata, Site, metadata, refusal

Code = grpc.StatusCode


async def lists_leases(site: Site, who: Metadata) -> bool:
    """Return whether `who` is let in as a client."""
    request = client_pb2.ListLeasesRequest(parent=PARENT)
    try:
        await site.client.ListLeases(request, metadata=who)
    except grpc.aio.AioRpcError:
        return False
    return True


async def test_a_client_is_made_changed_and_removed(site: Site) -> None:
    made = await site.admin.CreateClient(
        admin_pb2.CreateClientRequest(
            parent=PARENT, client_id="ann", labels={"team": "a"}, username="dex:ann"
        ),
        metadata=site.root,
    )
    name = f"{PARENT}/clients/ann"
    own = metadata(made.credential.token, "Client", "ann")
    assert made.client.name == made.credential.name == name
    assert (dict(made.client.labels), made.client.username) == ({"team": "a"}, "dex:ann")
    assert made.credential.endpoint == site.controller.endpoint
    assert made.credential.ca == site.controller.ca
    assert await lists_leases(site, own)

    changed = await site.admin.UpdateClient(
        admin_pb2.UpdateClientRequest(name=name, labels=admin_pb2.Labels(labels={"team": "b"})),
        metadata=site.root,
    )
    same = await site.admin.UpdateClient(
        admin_pb2.UpdateClientRequest(name=name), metadata=site.root
    )
    got = await site.admin.GetClient(admin_pb2.GetClientRequest(name=name), metadata=site.root)
    assert changed == same == got
    assert dict(got.labels) == {"team": "b"}

    await site.admin.DeleteClient(admin_pb2.DeleteClientRequest(name=name), metadata=site.root)
    assert not await lists_leases(site, own)


async def test_an_exporter_is_made_changed_and_removed(site: Site) -> None:
    await site.new_exporter(board="rpi4")
    name = f"{PARENT}/exporters/board"
    changed = await site.admin.UpdateExporter(
        admin_pb2.UpdateExporterRequest(
            name=name, labels=admin_pb2.Labels(labels={"board": "x"}), enabled=False
        ),
        metadata=site.root,
    )
    same = await site.admin.UpdateExporter(
        admin_pb2.UpdateExporterRequest(name=name), metadata=site.root
    )
    assert changed == same
    assert (dict(same.labels), same.enabled) == ({"board": "x"}, False)
    assert (same.online, same.registered, same.status) == (True, True, Status.AVAILABLE)
    assert same.HasField("last_seen")

    await site.admin.DeleteExporter(admin_pb2.DeleteExporterRequest(name=name), metadata=site.root)
    code, _ = await refusal(
        site.admin.GetExporter(admin_pb2.GetExporterRequest(name=name), metadata=site.root)
    )
    assert code is Code.NOT_FOUND


async def test_lists_are_sorted_and_filtered(site: Site) -> None:
    for name in ("b", "a"):
        await site.new_client(name, team=name)
        await site.new_exporter(name, ready=False, team=name)
    clients = await site.admin.ListClients(
        admin_pb2.ListClientsRequest(parent=PARENT), metadata=site.root
    )
    exporters = await site.admin.ListExporters(
        admin_pb2.ListExportersRequest(parent=PARENT, filter="team=b"), metadata=site.root
    )

    assert [item.name for item in clients.clients] == [f"{PARENT}/clients/{n}" for n in "ab"]
    assert [item.name for item in exporters.exporters] == [f"{PARENT}/exporters/b"]


@pytest.mark.parametrize("kind", ["clients", "exporters", "routers"])
async def test_a_credential_that_is_fetched_leaves_the_others_and_a_rotated_one_does_not(
    site: Site, kind: str
) -> None:
    await site.new_client("one")
    await site.new_exporter("one")
    made = await site.admin.CreateRouter(
        admin_pb2.CreateRouterRequest(parent=PARENT, router_id="one"), metadata=site.root
    )
    name = f"{PARENT}/{kind}/one"
    fetched = [
        await site.admin.FetchCredential(
            admin_pb2.FetchCredentialRequest(name=name), metadata=site.root
        )
        for _ in range(2)
    ]
    rotated = await site.admin.RotateCredential(
        admin_pb2.RotateCredentialRequest(name=name), metadata=site.root
    )

    assert len({made.token, rotated.token, *(item.token for item in fetched)}) == 4
    if kind == "clients":
        tokens = [*(item.token for item in fetched), rotated.token]
        let_in = [await lists_leases(site, metadata(token, "Client", "one")) for token in tokens]
        assert let_in == [False, False, True]


async def test_the_administrator_rotates_its_own_token(site: Site) -> None:
    rotated = await site.admin.RotateCredential(
        admin_pb2.RotateCredentialRequest(name=f"{PARENT}/admins/admin"), metadata=site.root
    )
    request = admin_pb2.ListClientsRequest(parent=PARENT)
    code, details = await refusal(site.admin.ListClients(request, metadata=site.root))

    assert (code, "revoked" in details) == (Code.UNKNOWN, True)
    await site.admin.ListClients(request, metadata=metadata(rotated.token, "Admin", "admin"))


async def test_policies_are_written_listed_and_removed(site: Site) -> None:
    rule = admin_pb2.PolicyRule(
        description="the team", priority=3, client_selectors=["team=a", ""], spot=True
    )
    rule.maximum_duration.FromTimedelta(timedelta(hours=1))
    policy = admin_pb2.Policy(
        name=f"{PARENT}/policies/team", exporter_selector="board=rpi4", rules=[rule]
    )
    for _ in range(2):
        request = admin_pb2.PutPolicyRequest(policy=policy)
        assert await site.admin.PutPolicy(request, metadata=site.root) == policy
    parent = admin_pb2.ListPoliciesRequest(parent=PARENT)
    listed = await site.admin.ListPolicies(parent, metadata=site.root)
    assert list(listed.policies) == [policy]

    await site.admin.DeletePolicy(
        admin_pb2.DeletePolicyRequest(name=policy.name), metadata=site.root
    )
    assert not (await site.admin.ListPolicies(parent, metadata=site.root)).policies


async def test_anybodys_lease_is_read_listed_and_released(site: Site) -> None:
    ann = await site.new_client()
    await site.new_exporter(ready=False)
    lease = await site.lease(ann)
    asked = client_pb2.GetLeaseRequest(name=lease.name)
    assert (await site.admin.GetLease(asked, metadata=site.root)).client.endswith("/ann")
    listed = await site.admin.ListLeases(
        client_pb2.ListLeasesRequest(parent=PARENT), metadata=site.root
    )
    assert [item.name for item in listed.leases] == [lease.name]
    for _ in range(2):
        ended = await site.admin.ReleaseLease(
            admin_pb2.ReleaseLeaseRequest(name=lease.name), metadata=site.root
        )
        assert ended.HasField("effective_end_time")


async def test_routers_are_listed_whether_they_are_there_or_not(site: Site) -> None:
    request = admin_pb2.CreateRouterRequest(parent=PARENT, router_id="idle")
    await site.admin.CreateRouter(request, metadata=site.root)
    await site.new_router("busy", load=7, site="x")
    listed = await site.admin.ListRouters(
        admin_pb2.ListRoutersRequest(parent=PARENT), metadata=site.root
    )
    busy, idle = listed.routers

    assert (busy.alive, busy.streams, busy.endpoint) == (True, 7, "busy.example.com:8083")
    assert (idle.alive, idle.name) == (False, f"{PARENT}/routers/idle")
    await site.admin.DeleteRouter(
        admin_pb2.DeleteRouterRequest(name=f"{PARENT}/routers/idle"), metadata=site.root
    )


def call(site: Site, method: str, request: Any) -> Any:
    stub: Any = site.admin
    return getattr(stub, method)(request, metadata=site.root)


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        ("CreateClient", {"parent": PARENT, "client_id": ""}, Code.INVALID_ARGUMENT),
        ("CreateClient", {"parent": PARENT, "client_id": "Ann"}, Code.INVALID_ARGUMENT),
        ("CreateClient", {"parent": PARENT, "client_id": "a:b"}, Code.INVALID_ARGUMENT),
        ("CreateClient", {"parent": PARENT, "client_id": "x" * 9999}, Code.INVALID_ARGUMENT),
        (
            "CreateClient",
            {"parent": PARENT, "client_id": "a", "labels": {"a b": ""}},
            Code.INVALID_ARGUMENT,
        ),
        ("CreateClient", {"parent": PARENT, "client_id": "there"}, Code.ALREADY_EXISTS),
        ("CreateExporter", {"parent": PARENT, "exporter_id": ""}, Code.INVALID_ARGUMENT),
        ("CreateRouter", {"parent": PARENT, "router_id": "a/b"}, Code.INVALID_ARGUMENT),
        ("GetClient", {"name": f"{PARENT}/clients/none"}, Code.NOT_FOUND),
        ("GetClient", {"name": f"{PARENT}/exporters/there"}, Code.INVALID_ARGUMENT),
        ("DeleteClient", {"name": f"{PARENT}/clients/none"}, Code.NOT_FOUND),
        ("DeleteExporter", {"name": f"{PARENT}/exporters/none"}, Code.NOT_FOUND),
        ("DeletePolicy", {"name": f"{PARENT}/policies/none"}, Code.NOT_FOUND),
        ("DeleteRouter", {"name": f"{PARENT}/routers/none"}, Code.NOT_FOUND),
        ("FetchCredential", {"name": f"{PARENT}/routers/none"}, Code.NOT_FOUND),
        ("FetchCredential", {"name": f"{PARENT}/admins/admin"}, Code.INVALID_ARGUMENT),
        ("RotateCredential", {"name": f"{PARENT}/clients/none"}, Code.NOT_FOUND),
        ("RotateCredential", {"name": f"{PARENT}/admins/none"}, Code.NOT_FOUND),
        ("ListClients", {"parent": PARENT, "filter": "a<b"}, Code.INVALID_ARGUMENT),
        ("ListClients", {"parent": "lab"}, Code.INVALID_ARGUMENT),
        ("ReleaseLease", {"name": f"{PARENT}/leases/none"}, Code.NOT_FOUND),
        ("PutPolicy", {}, Code.INVALID_ARGUMENT),
        (
            "PutPolicy",
            {"policy": {"name": f"{PARENT}/policies/x", "exporter_selector": "a<b"}},
            Code.INVALID_ARGUMENT,
        ),
        (
            "PutPolicy",
            {"policy": {"name": f"{PARENT}/policies/x", "rules": [{"priority": 2**31 - 1}]}},
            Code.INVALID_ARGUMENT,
        ),
    ],
)
async def test_orders_that_cannot_be(
    site: Site, method: str, request_: dict[str, Any], code: grpc.StatusCode
) -> None:
    await site.new_client("there")
    message = getattr(admin_pb2, f"{method}Request")(**request_)

    assert (await refusal(call(site, method, message)))[0] is code
