"""An exporter without a controller, used like a lease."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from jumpstarter.client.direct import DirectLease
from jumpstarter.client.lease import DirectLease as SameDirectLease
from jumpstarter.client.lease_reach_test import Echo
from jumpstarter.exporter import Session
from jumpstarter.model.status import ExporterStatus
from jumpstarter.rpc.portal import open_portal


@pytest.fixture
def direct() -> Iterator[DirectLease]:
    with open_portal() as portal, ExitStack() as stack:
        session = stack.enter_context(Session(root_device=Echo()))
        session.update_status(ExporterStatus.LEASE_READY)
        path = stack.enter_context(portal.wrap_async_context_manager(session.serve_unix_async()))
        yield DirectLease(address=str(path), portal=portal, allow=[], unsafe=True)


def test_it_looks_like_a_lease_that_is_not_ours_to_release(direct: DirectLease):
    assert SameDirectLease is DirectLease
    assert (direct.name, direct.exporter_name, direct.release) == ("direct", "direct", False)
    assert (direct.exporter_labels, direct.lease_ended, direct.lease_transferred) == (
        {},
        False,
        False,
    )


def test_it_is_connected_to(direct: DirectLease):
    with direct as lease, lease.monitor(), lease.serve_unix() as address, lease.connect() as client:
        assert address == direct.address
        assert client.call("echo", "hello") == "hello"


def test_it_is_connected_to_in_a_loop(direct: DirectLease):
    async def use() -> str:
        with ExitStack() as stack:
            async with (
                direct as lease,
                lease.monitor_async(),
                lease.serve_unix_async() as address,
                lease.connect_async(stack) as client,
            ):
                assert address == direct.address
                return await client.call_async("echo", "hello")

    assert direct.portal.call(use) == "hello"


def test_the_passphrase_is_not_shown(direct: DirectLease):
    direct.passphrase = "secret"
    assert "secret" not in repr(direct)
