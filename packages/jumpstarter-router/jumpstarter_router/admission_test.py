"""Who is let in, who is thrown out, and what is said and logged about it."""

import asyncio
import io
import json
import logging
from contextlib import AsyncExitStack, suppress
from typing import Any

import anyio
import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError
from jumpstarter.logging import JsonFormatter
from jumpstarter.rpc.servers import Bind

from jumpstarter_router.claims import Claims
from jumpstarter_router.conftest import (
    PATIENCE,
    Certificate,
    Lab,
    RawCall,
    Signer,
    bare_call,
    no_calls,
    raw_call,
    read,
    status,
)
from jumpstarter_router.registration import KeyRing
from jumpstarter_router.router import Router, running_router


@pytest.mark.parametrize(
    "authorization",
    [
        (),
        ("",),
        ("Bearer",),
        ("Bearer ",),
        ("Basic YTpi",),
        ("Bearer not-a-token",),
        ("Bearer a.b.c",),
    ],
)
async def test_without_a_good_token_nobody_gets_in(lab: Lab, authorization: tuple[str, ...]):
    async with lab.channel() as channel:
        call = bare_call(channel, *authorization)
        assert (await status(call))[0] is StatusCode.UNAUTHENTICATED
    await no_calls(lab)


async def test_two_tokens_are_none(lab: Lab):
    async with lab.channel() as channel:
        call = raw_call(channel, lab.signer.token(), lab.signer.token())
        assert (await status(call))[0] is StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
async def test_the_scheme_may_be_written_as_it_likes(lab: Lab, scheme: str):
    async with lab.channel() as channel:
        call = bare_call(channel, f"{scheme} {lab.signer.token()}")
        await call.initial_metadata()
        assert lab.router.waiting == 1
        call.cancel()


@pytest.mark.parametrize(
    "changes",
    [{"iss": "https://localhost:8085"}, {"aud": ["jumpstarter"]}, {"exp": 5}, {"side": "both"}],
)
async def test_a_token_for_something_else_admits_nobody(lab: Lab, changes: dict[str, Any]):
    async with lab.call(lab.signer.token(**changes)) as call:
        assert (await status(call))[0] is StatusCode.UNAUTHENTICATED


async def test_a_token_of_another_controller_admits_nobody(lab: Lab):
    async with lab.call(Signer().token()) as call:
        assert (await status(call))[0] is StatusCode.UNAUTHENTICATED


async def test_tokens_are_never_logged(lab: Lab, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    tokens = [lab.signer.token("s"), lab.signer.token("s"), Signer().token(), "x.y.z"]
    for token in tokens:
        async with lab.call(token) as call:
            await call.initial_metadata()
    lab.router.refuse("lease", 5)
    async with lab.call(tokens[0]) as call:
        await status(call)
    text = caplog.text
    assert "router authentication failed" in text
    assert "waits for its other side" in text
    for token in tokens:
        assert not any(part in text for part in token.split(".") if len(part) > 1)


async def test_a_refusal_names_the_caller(lab: Lab):
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("jumpstarter_router")
    logger.addHandler(handler)
    try:
        async with lab.call("nonsense") as call:
            await status(call)
    finally:
        logger.removeHandler(handler)
    (entry,) = map(json.loads, lines.getvalue().splitlines())
    assert entry["message"].startswith("router authentication failed: ")
    assert entry["peer"] == "127.0.0.1"


async def test_before_the_keys_are_known_nobody_is_told_that_its_token_is_bad(lab: Lab):
    lab.ring.keys = ()
    async with lab.call() as call:
        assert (await status(call))[0] is StatusCode.UNAVAILABLE
    lab.ring.keys = (lab.signer.public,)
    async with lab.call() as call:
        await call.initial_metadata()


async def test_a_new_key_admits_and_an_old_one_no_longer(lab: Lab):
    new = Signer()
    lab.ring.keys = (new.public,)
    async with lab.call(new.token()) as call:
        await call.initial_metadata()
    async with lab.call() as call:
        assert (await status(call))[0] is StatusCode.UNAUTHENTICATED


async def test_the_streams_of_an_ended_lease_are_cut_and_not_let_in_again(lab: Lab):
    async with (
        lab.pair() as (exporter, client),
        lab.pair(fence=2) as (exporter_two, client_two),
        lab.call(lab.signer.token()) as waiting,
    ):
        await waiting.initial_metadata()
        lab.router.refuse("lease", 2)
        for call in (exporter, client, waiting):
            assert await status(call) == (StatusCode.ABORTED, "the lease has ended")
        await client_two.write(b"a newer one")
        assert await read(exporter_two) == b"a newer one"
        async with lab.call() as late:
            assert (await status(late))[0] is StatusCode.UNAUTHENTICATED
        async with lab.pair(fence=2) as (exporter_three, client_three):
            await client_three.write(b"hello")
            assert await read(exporter_three) == b"hello"


async def test_a_fenced_stream_is_cut_though_its_reader_has_stopped(lab: Lab):
    """The router does not wait until what is on its way has been taken."""
    async with lab.pair() as (exporter, client), anyio.create_task_group() as tasks:
        tasks.start_soon(flood, client)
        await read(exporter)
        lab.router.refuse("lease", 2)
        await no_calls(lab)
        with pytest.raises(AioRpcError, match="the lease has ended"):
            await read_on(exporter)


async def read_on(call: RawCall) -> None:
    """Read what a call has in its buffers, and then its end."""
    while True:
        await read(call)


async def flood(call: RawCall) -> None:
    """Write until the call is over."""
    with suppress(AioRpcError, asyncio.InvalidStateError):
        while True:
            await call.write(bytes(1 << 20))


async def test_draining_lets_streams_end_and_nobody_in(lab: Lab):
    async with lab.pair() as (exporter, client), lab.call() as waiting:
        await waiting.initial_metadata()
        lab.router.begin_drain()
        assert (await status(waiting))[0] is StatusCode.UNAVAILABLE
        async with lab.call() as late:
            assert (await status(late))[0] is StatusCode.UNAVAILABLE
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lab.router.drained, PATIENCE)
            await client.write(b"still")
            assert await read(exporter) == b"still"
            await client.done_writing()
            await exporter.done_writing()
        assert await status(client) == (StatusCode.OK, "")
    assert lab.router.streams == 0


async def test_draining_does_not_wait_for_ever(lab: Lab):
    async with lab.pair() as (exporter, client):
        lab.router.begin_drain()
        await lab.router.drained(0.05)
        for call in (exporter, client):
            assert (await status(call))[0] is StatusCode.UNAVAILABLE


async def test_leaving_cancels_what_is_left(certificate: Certificate, signer: Signer):
    router = Router(lambda token, now: Claims(stream=token, expires=now + 60))
    lab = Lab(router, KeyRing(), signer, certificate)
    async with AsyncExitStack() as stack:
        async with running_router(router, [Bind("127.0.0.1:0", certificate.server)]):
            calls = [await stack.enter_async_context(lab.call(token)) for token in "aab"]
            for call in calls:
                await call.initial_metadata()
        for call in calls:
            assert (await status(call))[0] in (StatusCode.UNAVAILABLE, StatusCode.CANCELLED)


async def test_a_verifier_that_fails_ends_the_call_and_not_the_router(
    certificate: Certificate, signer: Signer, caplog: pytest.LogCaptureFixture
):
    def verify(token: str, now: float) -> Claims:
        if token == "bad":
            raise ZeroDivisionError
        return Claims(stream=token, expires=now + 60)

    router = Router(verify)
    lab = Lab(router, KeyRing(), signer, certificate)
    async with running_router(router, [Bind("127.0.0.1:0", certificate.server)]):
        async with lab.call("bad") as call:
            assert (await status(call))[0] is StatusCode.INTERNAL
        assert "ZeroDivisionError" in caplog.text
        async with lab.call("good") as call:
            await call.initial_metadata()


async def test_a_port_in_use_is_an_error_of_the_start(lab: Lab, certificate: Certificate):
    router = Router(lambda token, now: Claims(stream=token, expires=now + 60))
    binds = [Bind("127.0.0.1:0", certificate.server), Bind(lab.address, certificate.server)]
    with pytest.raises(OSError, match=f"cannot listen on {lab.address}"):
        async with running_router(router, binds):
            pass
