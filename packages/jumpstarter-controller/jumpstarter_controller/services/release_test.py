"""Exporters and clients end a lease by the call of that name (scenario S6)."""

import grpc
from jumpstarter.model.status import ExporterStatus as Status
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter_controller.services.conftest import (
    Metadata,
    Site,
    bare,
    exporter_of,
    leased,
    refusal,
)

FAILED = grpc.StatusCode.FAILED_PRECONDITION
UNKNOWN = grpc.StatusCode.UNKNOWN
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


async def release(site: Site, caller: Metadata, name: str) -> None:
    await site.lab.ReleaseLease(jumpstarter_pb2.ReleaseLeaseRequest(name=name), metadata=caller)


async def test_an_exporter_releases_its_lease_and_again(site: Site) -> None:
    ann, board, lease = await leased(site)
    await release(site, board, bare(lease))
    await release(site, board, bare(lease))

    assert (await site.get(ann, lease)).HasField("effective_end_time")


async def test_an_exporter_is_refused_in_words_that_it_takes_for_an_answer(site: Site) -> None:
    _, _, lease = await leased(site)
    other = await site.new_exporter("other")

    assert (await refusal(release(site, other, bare(lease))))[0] is FAILED
    for name in ("", "none", "x" * 300):
        assert (await refusal(release(site, other, name)))[0] is grpc.StatusCode.NOT_FOUND


async def test_a_client_releases_its_lease_and_again(site: Site) -> None:
    ann, _, lease = await leased(site)
    bob = await site.new_client("bob")
    assert (await refusal(release(site, bob, bare(lease))))[0] is UNKNOWN
    await release(site, ann, bare(lease))
    await release(site, ann, bare(lease))

    assert (await site.get(ann, lease)).HasField("effective_end_time")


async def test_a_status_report_releases_the_lease(site: Site) -> None:
    ann, board, lease = await leased(site)
    await site.report(board, Status.AFTER_LEASE_HOOK_FAILED, release_lease=True, message="oh")

    assert (await site.get(ann, lease)).HasField("effective_end_time")
    assert (await exporter_of(site)).status_message == "oh"
