"""A lab as its users see it: they get a device, and lose it when the lease is over."""

import stat
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import timedelta

import anyio
import pytest
from anyio.from_thread import BlockingPortal
from cryptography import x509
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.model.errors import JumpstarterException
from jumpstarter.streams.listeners import TemporaryTcpListener
from jumpstarter.streams.sockets import SocketStream

from jumpstarter_lab import Lab, LabConfig, running_lab
from jumpstarter_lab.conftest import administered, exporting, moved, new_client, new_exporter

HOUR = timedelta(hours=1)
PATIENCE = 20.0


async def echoed(config: ClientConfigV1Alpha1, text: str) -> str:
    """Lease the board, let it say something, and give it back."""
    answer = ""
    with closing(ExitStack()) as stack:
        async with (
            BlockingPortal() as portal,
            config.lease_async(None, "board", None, HOUR, portal) as lease,
            lease.connect_async(stack) as client,
        ):
            answer = await client.children["board"].call_async("echo", text)
    return answer


async def test_a_device_is_leased_used_and_given_back(lab: Lab):
    ann = await new_client(lab)
    async with exporting(await new_exporter(lab)):
        for text in ("one", "two", "three"):
            assert await echoed(ann, text) == text
        ended = await ann.list_leases(only_active=False)
        assert [lease.get_status() for lease in ended.leases] == ["Ended"] * 3
        assert (await ann.list_leases()).leases == []


async def test_a_lab_goes_on_where_it_stopped(config: LabConfig):
    async with running_lab(config) as lab:
        ann, exporter = await new_client(lab), await new_exporter(lab)
        again = moved(config, lab)
    async with running_lab(again) as lab, exporting(exporter):
        assert await echoed(ann, "still there") == "still there"


async def test_streams_of_a_lease_that_is_taken_away_are_cut(lab: Lab):
    ann = await new_client(lab)
    with ExitStack() as stack:
        async with (
            administered(lab) as administration,
            exporting(await new_exporter(lab)),
            BlockingPortal() as portal,
            ann.lease_async(None, "board", None, HOUR, portal) as lease,
            lease.connect_async(stack) as client,
        ):
            assert await client.children["board"].call_async("echo", "mine") == "mine"
            assert lab.router.streams == 2
            await administration.release_lease(lease.name)
            with anyio.fail_after(PATIENCE):
                await lab.router.drained()
            with pytest.raises(JumpstarterException), anyio.fail_after(PATIENCE):
                await client.children["board"].call_async("echo", "not mine")


async def test_a_lab_that_stops_takes_no_new_streams(config: LabConfig):
    async with running_lab(config) as lab:
        routers = lab.controller.engine.routers
        assert [router.endpoint for router in await routers()] == [lab.router_endpoint]
    assert lab.router.draining
    assert lab.router.streams == 0


async def test_only_its_owner_reads_the_credential(lab: Lab):
    assert stat.S_IMODE(lab.admin_file.stat().st_mode) == 0o600
    assert lab.endpoint.startswith("127.0.0.1:")
    assert lab.router_endpoint.startswith("127.0.0.1:")


async def test_the_certificate_is_good_for_all_endpoints(config: LabConfig):
    there = replace(config, router_endpoint="relay.example:8083")
    async with running_lab(there) as lab:
        assert lab.router_endpoint == "relay.example:8083"
        chain = lab.controller.certificate.current().chain
        names = x509.load_pem_x509_certificate(chain).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        assert "relay.example" in names.value.get_values_for_type(x509.DNSName)


async def test_a_port_that_is_taken_is_named(config: LabConfig):
    async def nobody(stream: SocketStream) -> None:
        await stream.aclose()

    async with TemporaryTcpListener(nobody) as (host, port):
        taken = replace(config, router=f"{host}:{port}")
        with pytest.raises(OSError, match=str(port)):
            async with running_lab(taken):
                pass
    # Nothing of the first try is left in the way of the second.
    async with running_lab(config) as lab:
        assert lab.router.ports
