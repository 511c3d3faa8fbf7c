"""Exporters register, report, and are told their leases; clients dial them (scenarios S1 to S6)."""

from typing import Any

import anyio
import grpc
import jwt
import pytest
from jumpstarter.model.status import ExporterStatus as Status
from jumpstarter_protocol import admin_pb2, client_pb2, jumpstarter_pb2

from jumpstarter_controller.services.conftest import (
    PARENT,
    Site,
    bare,
    exporter_of,
    leased,
    refusal,
)

FAILED = grpc.StatusCode.FAILED_PRECONDITION
UNKNOWN = grpc.StatusCode.UNKNOWN
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


async def test_registering_replaces_the_devices_and_the_own_labels(site: Site) -> None:
    board = await site.new_exporter(ready=False, board="rpi4")
    for number in (1, 2):
        answer = await site.lab.Register(
            jumpstarter_pb2.RegisterRequest(
                labels={f"jumpstarter.dev/n{number}": "x", "board": "other"},
                reports=[
                    jumpstarter_pb2.DriverInstanceReport(uuid=f"root-{number}"),
                    jumpstarter_pb2.DriverInstanceReport(uuid="child", parent_uuid="root"),
                ],
            ),
            metadata=board,
        )
    found = await exporter_of(site)

    assert answer.uuid == found.uid
    assert dict(found.labels) == {"board": "rpi4", "jumpstarter.dev/n2": "x"}
    assert [device.uuid for device in found.devices] == ["root-2", "child"]
    assert [device.HasField("parent_uuid") for device in found.devices] == [False, True]
    assert found.registered


@pytest.mark.parametrize("reason", ["", "maintenance"])
async def test_unregistering(site: Site, reason: str) -> None:
    board = await site.new_exporter()
    for _ in range(2):
        await site.lab.Unregister(jumpstarter_pb2.UnregisterRequest(reason=reason), metadata=board)
    found = await exporter_of(site)

    assert (found.online, found.registered, found.status) == (False, False, Status.OFFLINE)
    assert found.status_message == (reason or "the exporter has unregistered")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (Status.OFFLINE, FAILED, "offline"),
        (Status.AVAILABLE, FAILED, "not ready"),
        (Status.BEFORE_LEASE_HOOK_FAILED, FAILED, "beforeLease"),
        (Status.AFTER_LEASE_HOOK_FAILED, FAILED, "afterLease"),
    ],
)
async def test_statuses_that_do_not_admit(
    site: Site, status: Status, code: grpc.StatusCode, words: str
) -> None:
    ann, board, lease = await leased(site, status)
    async with site.listening(board, lease):
        told, details = await refusal(site.dial(ann, lease))

    assert (told, words in details) == (code, True)
    assert ("not ready" in details) == (status is Status.AVAILABLE)


@pytest.mark.parametrize(
    "status", [Status.LEASE_READY, Status.AFTER_LEASE_HOOK, Status.UNSPECIFIED]
)
async def test_statuses_that_admit(site: Site, status: Status) -> None:
    ann, board, lease = await leased(site, status)
    async with site.listening(board, lease) as listen:
        dialled = await site.dial(ann, lease)
        invited = await listen.read()

    assert isinstance(invited, jumpstarter_pb2.ListenResponse)
    assert dialled.router_endpoint == invited.router_endpoint == "one.example.com:8083"
    mine, theirs = claims(dialled.router_token), claims(invited.router_token)
    assert mine["sub"] == theirs["sub"]
    assert (mine["side"], theirs["side"]) == ("client", "exporter")
    assert mine["lease"] == theirs["lease"] == bare(lease)
    assert mine["fence"] == theirs["fence"] > 0


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


async def test_an_exporter_that_never_reported_is_dialled(site: Site) -> None:
    ann = await site.new_client()
    board = await site.new_exporter(ready=False)
    await site.new_router()
    report = jumpstarter_pb2.DriverInstanceReport(uuid="root")
    await site.lab.Register(jumpstarter_pb2.RegisterRequest(reports=[report]), metadata=board)
    status = site.lab.Status(jumpstarter_pb2.StatusRequest(), metadata=board)
    await status.read()
    lease = await site.lease(ann)
    async with site.listening(board, lease):
        assert (await site.dial(ann, lease)).router_token
    status.cancel()


async def test_dialling_without_a_listener(site: Site) -> None:
    ann, _, lease = await leased(site, Status.LEASE_READY)

    code, details = await refusal(site.dial(ann, lease))
    assert (code, "not listening" in details) == (UNAVAILABLE, True)


async def test_dialling_without_a_router(site: Site) -> None:
    ann, board = await site.new_client(), await site.new_exporter()
    lease = await site.lease(ann)
    await site.report(board, Status.LEASE_READY)

    code, details = await refusal(site.dial(ann, lease))
    assert (code, "no router" in details) == (UNAVAILABLE, True)


async def test_dialling_anothers_lease(site: Site) -> None:
    _, _, lease = await leased(site, Status.LEASE_READY)
    code, details = await refusal(site.dial(await site.new_client("bob"), lease))

    assert code is UNKNOWN
    assert "permission denied" in details


@pytest.mark.parametrize("name", ["", "none", "/", "x" * 4000, "\x00"])
async def test_dialling_what_is_no_lease(site: Site, name: str) -> None:
    ann = await site.new_client()
    code, _ = await refusal(
        site.lab.Dial(jumpstarter_pb2.DialRequest(lease_name=name), metadata=ann)
    )

    assert code is UNKNOWN


async def test_dialling_a_lease_that_waits(site: Site) -> None:
    ann = await site.new_client()
    await site.new_exporter(ready=False)
    lease = await site.lease(ann)

    code, details = await refusal(site.dial(ann, lease))
    assert (code, "not active" in details) == (UNKNOWN, True)


async def test_dialling_a_lease_that_has_ended(site: Site) -> None:
    ann, board, lease = await leased(site, Status.LEASE_READY)
    async with site.listening(board, lease):
        await site.dial(ann, lease)
        await site.client.DeleteLease(client_pb2.DeleteLeaseRequest(name=lease.name), metadata=ann)

        code, details = await refusal(site.dial(ann, lease))
    assert (code, "not active" in details) == (UNKNOWN, True)


async def test_a_dial_waits_for_the_listener(patient_site: Site) -> None:
    ann, board, lease = await leased(patient_site, Status.LEASE_READY)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(patient_site.dial, ann, lease)
        async with patient_site.listening(board, lease) as listen:
            assert isinstance(await listen.read(), jumpstarter_pb2.ListenResponse)


@pytest.mark.parametrize("status", [Status.AVAILABLE, Status.BEFORE_LEASE_HOOK])
async def test_a_dial_waits_until_the_exporter_is_ready(patient_site: Site, status: Status) -> None:
    site = patient_site
    ann, board, lease = await leased(site, status)
    async with site.listening(board, lease) as listen, anyio.create_task_group() as tasks:
        tasks.start_soon(site.dial, ann, lease)
        await site.report(board, Status.BEFORE_LEASE_HOOK)
        await site.report(board, Status.LEASE_READY)

        assert isinstance(await listen.read(), jumpstarter_pb2.ListenResponse)


async def test_a_dial_held_for_a_hook_ends_with_the_lease(patient_site: Site) -> None:
    site = patient_site
    ann, _, lease = await leased(site, Status.BEFORE_LEASE_HOOK)
    answers: list[tuple[grpc.StatusCode, str]] = []

    async def dial() -> None:
        answers.append(await refusal(site.dial(ann, lease)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dial)
        await site.client.DeleteLease(client_pb2.DeleteLeaseRequest(name=lease.name), metadata=ann)

    assert answers[0][0] is UNKNOWN
    assert "not active" in answers[0][1]


async def test_each_dial_of_many_is_told_to_one_listener(patient_site: Site) -> None:
    site = patient_site
    ann, board, lease = await leased(site, Status.LEASE_READY)
    dialled: list[object] = []
    invited: list[object] = []
    arrived = anyio.Event()

    async def dial() -> None:
        dialled.append(claims((await site.dial(ann, lease)).router_token)["sub"])

    async def listen() -> None:
        request = jumpstarter_pb2.ListenRequest(lease_name=bare(lease))
        async for item in site.lab.Listen(request, metadata=board):
            invited.append(claims(item.router_token)["sub"])
            if len(invited) == 60:
                arrived.set()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as dials:
                for number in range(60):
                    dials.start_soon(dial)
                    if number % 10 == 0:
                        tasks.start_soon(listen)
            await arrived.wait()
            tasks.cancel_scope.cancel()

    assert sorted(map(str, invited)) == sorted(map(str, dialled))
    assert len(set(dialled)) == 60


async def test_a_listener_that_is_superseded_ends_in_peace(site: Site) -> None:
    ann, board, lease = await leased(site, Status.LEASE_READY)
    async with site.listening(board, lease) as old:
        await site.dial(ann, lease)
        assert isinstance(await old.read(), jumpstarter_pb2.ListenResponse)
        async with site.listening(board, lease):
            with anyio.fail_after(10):
                assert await old.read() == grpc.aio.EOF
            assert await old.code() is grpc.StatusCode.OK


async def test_listening_to_anothers_lease(site: Site) -> None:
    _, _, lease = await leased(site)
    other = await site.new_exporter("other")
    for name, words in (
        (bare(lease), "permission denied"),
        ("none", "not found"),
        ("", "no lease"),
    ):
        request = jumpstarter_pb2.ListenRequest(lease_name=name)
        code, details = await refusal(anext(aiter(site.lab.Listen(request, metadata=other))))

        assert (code, words in details) == (UNKNOWN, True)


async def test_the_status_stream_tells_each_lease_and_none_between(site: Site) -> None:
    ann, board = await site.new_client(), await site.new_exporter()
    stream = site.lab.Status(jumpstarter_pb2.StatusRequest(), metadata=board)
    assert await stream.read() == jumpstarter_pb2.StatusResponse(leased=False)

    first = await site.lease(ann, context={"build": "7"})
    second = await site.lease(ann)
    assert await stream.read() == jumpstarter_pb2.StatusResponse(
        leased=True, lease_name=bare(first), client_name="ann", context={"build": "7"}
    )
    await site.client.DeleteLease(client_pb2.DeleteLeaseRequest(name=first.name), metadata=ann)
    assert await stream.read() == jumpstarter_pb2.StatusResponse(leased=False)
    assert await stream.read() == jumpstarter_pb2.StatusResponse(
        leased=True, lease_name=bare(second), client_name="ann"
    )
    stream.cancel()


async def test_the_status_stream_brings_back_an_exporter_that_was_offline(site: Site) -> None:
    board = await site.new_exporter()
    await site.report(board, Status.OFFLINE)
    stream = site.lab.Status(jumpstarter_pb2.StatusRequest(), metadata=board)
    await stream.read()
    found = await exporter_of(site)

    assert found.online
    assert not found.HasField("status")
    stream.cancel()


async def test_streams_end_when_the_token_is_revoked(site: Site) -> None:
    _, board, lease = await leased(site)
    status = site.lab.Status(jumpstarter_pb2.StatusRequest(), metadata=board)
    await status.read()
    async with site.listening(board, lease) as listen:
        await site.admin.RotateCredential(
            admin_pb2.RotateCredentialRequest(name=f"{PARENT}/exporters/board"),
            metadata=site.root,
        )
        for stream in (status, listen):
            code, details = await refusal(stream.read())
            assert (code, "revoked" in details) == (UNKNOWN, True)


async def test_the_status_stream_ends_with_its_exporter(site: Site) -> None:
    board = await site.new_exporter()
    stream = site.lab.Status(jumpstarter_pb2.StatusRequest(), metadata=board)
    await stream.read()
    await site.admin.DeleteExporter(
        admin_pb2.DeleteExporterRequest(name=f"{PARENT}/exporters/board"), metadata=site.root
    )

    with anyio.fail_after(10):
        assert await stream.code() in {UNKNOWN, grpc.StatusCode.OK}


async def test_a_status_of_a_newer_release_is_unspecified(site: Site) -> None:
    board = await site.new_exporter()
    request = jumpstarter_pb2.ReportStatusRequest.FromString(b"\x08\x63")
    await site.lab.ReportStatus(request, metadata=board)

    assert (await exporter_of(site)).status == Status.UNSPECIFIED


async def test_the_calls_of_very_old_clients(site: Site) -> None:
    ann, bob = await site.new_client(), await site.new_client("bob")
    await site.new_exporter(board="rpi4")
    request = jumpstarter_pb2.RequestLeaseRequest()
    request.duration.FromSeconds(60)
    request.selector.match_labels["board"] = "rpi4"
    request.selector.match_expressions.add(key="board", operator="In", values=["b", "rpi4"])
    name = (await site.lab.RequestLease(request, metadata=ann)).name
    lease = await site.lab.GetLease(jumpstarter_pb2.GetLeaseRequest(name=name), metadata=ann)
    mine = await site.lab.ListLeases(jumpstarter_pb2.ListLeasesRequest(), metadata=ann)
    theirs = await site.lab.ListLeases(jumpstarter_pb2.ListLeasesRequest(), metadata=bob)

    assert (list(mine.names), list(theirs.names)) == ([name], [])
    assert lease.duration.seconds == 60
    assert dict(lease.selector.match_labels) == {"board": "rpi4"}
    assert lease.exporter_uuid == (await exporter_of(site)).uid
    assert lease.conditions[-1].type == "Ready"
    code, details = await refusal(
        site.lab.GetLease(jumpstarter_pb2.GetLeaseRequest(name=name), metadata=bob)
    )
    assert (code, "permission denied" in details) == (UNKNOWN, True)


async def test_calls_that_have_nothing_to_tell(site: Site) -> None:
    board = await site.new_exporter()
    request = jumpstarter_pb2.GetServiceEndpointsRequest()

    assert not (await site.lab.GetServiceEndpoints(request, metadata=board)).telemetry_endpoints
    assert (await refusal(site.lab.AuditStream(iter(()), metadata=board)))[
        0
    ] is grpc.StatusCode.UNIMPLEMENTED
