"""Registration with a controller that is there, away, back, or makes no sense."""

import base64
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode
from jumpstarter.model.errors import ConfigurationError
from jumpstarter.rpc.retry import Backoff
from jumpstarter.streams.background import background_tasks
from jumpstarter_protocol import admin_pb2

from jumpstarter_router.conftest import (
    PATIENCE,
    TOKEN,
    Controller,
    Lab,
    Signer,
    key_set,
    read,
    serving,
    status,
)
from jumpstarter_router.registration import (
    KeyRing,
    Place,
    Registration,
    caller_metadata,
    obey,
)

PLACE = Place(endpoint="router.example.com:8083", labels={"site": "here"})


@asynccontextmanager
async def registering(
    lab: Lab, target: str, read_token: Callable[[], str] = lambda: TOKEN
) -> AsyncGenerator[Registration]:
    registration = Registration(
        router=lab.router,
        ring=lab.ring,
        place=PLACE,
        target=target,
        tls=lab.tls,
        read_token=read_token,
        backoff=Backoff(0.02, 0.05),
    )
    async with background_tasks() as tasks:
        tasks.start_soon(registration.run)
        yield registration


async def registered(registration: Registration) -> None:
    with anyio.fail_after(PATIENCE):
        await registration.registered.wait()


async def test_it_says_who_and_where_it_is_and_gets_the_keys(lab: Lab):
    controller, new = Controller([]), Signer()
    controller.first = [admin_pb2.RouterOrders(jwks=key_set(new))]
    async with (
        serving(controller, lab.certificate) as target,
        registering(lab, target) as registration,
    ):
        report = await controller.next_report()
        await registered(registration)
        assert (report.endpoint, dict(report.labels)) == (PLACE.endpoint, PLACE.labels)
        assert (report.streams, report.draining) == (0, False)
        assert lab.ring.keys == (new.public,)
        said = controller.metadata
        assert said["authorization"] == f"Bearer {TOKEN}"
        assert (said["jumpstarter-kind"], said["jumpstarter-namespace"]) == ("Router", "lab")
        assert said["jumpstarter-name"] == "one"


async def test_it_reports_its_load_as_often_as_it_is_told(lab: Lab):
    interval = Duration()
    interval.FromMilliseconds(100)
    orders = admin_pb2.RouterOrders(jwks=key_set(lab.signer), report_interval=interval)
    controller = Controller([orders])
    async with serving(controller, lab.certificate) as target, registering(lab, target):
        assert (await controller.next_report()).streams == 0
        async with lab.pair():
            while (await controller.next_report()).streams != 2:
                pass
        while (await controller.next_report()).streams != 0:
            pass


async def test_that_it_drains_is_told_at_once(lab: Lab):
    controller = Controller([admin_pb2.RouterOrders(jwks=key_set(lab.signer))])
    async with (
        serving(controller, lab.certificate) as target,
        registering(lab, target) as registration,
    ):
        await controller.next_report()
        await registered(registration)
        lab.router.begin_drain()
        registration.report_now()
        while not (await controller.next_report()).draining:
            pass


async def test_the_streams_of_ended_leases_are_cut(lab: Lab):
    controller = Controller([admin_pb2.RouterOrders(jwks=key_set(lab.signer))])
    ended = admin_pb2.RouterOrders(ended_leases=[admin_pb2.EndedLease(name="lease", fence=1)])
    async with (
        serving(controller, lab.certificate) as target,
        registering(lab, target),
        lab.pair() as (exporter, client),
        lab.pair(fence=2) as (exporter_two, client_two),
    ):
        controller.orders.put_nowait(ended)
        assert await status(client) == (StatusCode.ABORTED, "the lease has ended")
        assert (await status(exporter))[0] is StatusCode.ABORTED
        await client_two.write(b"a larger number")
        assert await read(exporter_two) == b"a larger number"


async def test_it_relays_without_its_controller_and_registers_again(lab: Lab):
    """The keys that it has stay good, and so do the streams."""
    controller = Controller([admin_pb2.RouterOrders(jwks=key_set(lab.signer))])
    async with lab.pair() as (exporter, client):
        async with serving(controller, lab.certificate) as target:
            registering_now = registering(lab, target)
            registration = await registering_now.__aenter__()
            await registered(registration)
        try:
            await client.write(b"old stream")
            assert await read(exporter) == b"old stream"
            async with lab.pair() as (exporter_two, client_two):
                await client_two.write(b"new stream")
                assert await read(exporter_two) == b"new stream"
            again = Controller(controller.first)
            async with serving(again, lab.certificate, target):
                await again.next_report()
        finally:
            await registering_now.__aexit__(None, None, None)


async def test_orders_that_make_no_sense_leave_the_keys(lab: Lab, caplog: pytest.LogCaptureFixture):
    keys = lab.ring.keys
    controller = Controller([admin_pb2.RouterOrders(jwks="nonsense")])
    async with (
        serving(controller, lab.certificate) as target,
        registering(lab, target) as registration,
    ):
        while controller.calls < 3:
            await controller.next_report()
        assert lab.ring.keys == keys
        controller.first = [admin_pb2.RouterOrders(jwks=key_set(lab.signer))]
        await registered(registration)
    assert caplog.text.count("not registered") == 1, "the same failure is told once"
    assert TOKEN not in caplog.text


async def test_a_token_is_read_anew_for_each_try(lab: Lab):
    tokens = iter(["no token", TOKEN])
    controller = Controller([admin_pb2.RouterOrders(jwks=key_set(lab.signer))])
    async with (
        serving(controller, lab.certificate) as target,
        registering(lab, target, lambda: next(tokens)) as registration,
    ):
        await registered(registration)
    assert controller.calls == 1


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a",
        "a.b.c",
        "a.!!.c",
        "a.bnVsbA.c",
        "a.e30.c",
        "h." + base64.urlsafe_b64encode(b'{"sub": "client:lab:one:uid"}').decode() + ".s",
    ],
)
def test_a_token_of_somebody_else_is_refused(token: str):
    with pytest.raises(ConfigurationError, match="not that of a router"):
        caller_metadata(token)


def test_orders_without_keys_change_none(lab: Lab):
    ring = KeyRing(lab.ring.keys)
    obey(admin_pb2.RouterOrders(), lab.router, ring)
    assert ring.keys == lab.ring.keys
