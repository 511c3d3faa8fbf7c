"""The UDP listener, with plain sockets as senders."""

import errno
import logging
import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import anyio
import anyio.abc
import pytest
from anyio import to_thread
from anyio.lowlevel import checkpoint

from jumpstarter.model.errors import JumpstarterException
from jumpstarter.streams.udp_listener import (
    QUEUED_DATAGRAMS,
    SenderStream,
    TemporaryUdpListener,
)


@contextmanager
def sender_to(address: tuple[str, int]) -> Generator[socket.socket]:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(address)
        yield sock


async def hear(sock: socket.socket) -> bytes:
    return await to_thread.run_sync(sock.recv, 65_536)


async def echo(stream: SenderStream) -> None:
    async for datagram in stream:
        await stream.send(datagram)


async def test_boundaries_are_kept_and_empty_datagrams_pass():
    async with TemporaryUdpListener(echo) as address:
        with sender_to(address) as sock:
            for datagram in (b"one", b"", b"three", bytes(60_000)):
                sock.send(datagram)
                assert await hear(sock) == datagram


async def test_answers_go_to_the_right_sender():
    async def name(stream: SenderStream) -> None:
        who = await stream.receive()
        async for question in stream:
            await stream.send(who + b": " + question)

    async with TemporaryUdpListener(name) as address:
        with sender_to(address) as one, sender_to(address) as two:
            one.send(b"one")
            two.send(b"two")
            one.send(b"who?")
            two.send(b"and who?")
            assert await hear(two) == b"two: and who?"
            assert await hear(one) == b"one: who?"


async def test_sender_is_named():
    async def tell(stream: SenderStream) -> None:
        host, port = stream.extra(anyio.abc.SocketAttribute.remote_address)
        await stream.send(f"{host} {port}".encode())
        await stream.receive()
        await stream.receive()

    async with TemporaryUdpListener(tell) as address:
        with sender_to(address) as sock:
            sock.send(b"?")
            host, port = sock.getsockname()
            assert await hear(sock) == f"{host} {port}".encode()


async def test_quiet_sender_is_cancelled_and_may_come_back():
    ended = anyio.Event()
    streams = 0

    async def handler(stream: SenderStream) -> None:
        nonlocal streams
        streams += 1
        try:
            await echo(stream)
        finally:
            ended.set()

    async with TemporaryUdpListener(handler, idle=0.02) as address:
        with sender_to(address) as sock:
            sock.send(b"hello")
            assert await hear(sock) == b"hello"
            await ended.wait()
            sock.send(b"again")
            assert await hear(sock) == b"again"
    assert streams == 2


async def test_answers_count_as_activity():
    ask_one = anyio.Event()
    ended: list[bytes] = []
    first_ended = anyio.Event()

    async def handler(stream: SenderStream) -> None:
        name = await stream.receive()
        await stream.send(name)
        try:
            if name == b"one":
                await ask_one.wait()
                await stream.send(b"still there?")
            await stream.receive()
        finally:
            ended.append(name)
            first_ended.set()

    async with TemporaryUdpListener(handler, max_senders=2) as address:
        with sender_to(address) as one, sender_to(address) as two, sender_to(address) as three:
            for sock, name in ((one, b"one"), (two, b"two")):
                sock.send(name)
                assert await hear(sock) == name
            ask_one.set()
            assert await hear(one) == b"still there?"
            three.send(b"three")
            await first_ended.wait()
            assert ended == [b"two"]


async def test_one_sender_too_many_ends_the_quietest():
    ended: list[bytes] = []
    first_ended = anyio.Event()

    async def handler(stream: SenderStream) -> None:
        name = await stream.receive()
        await stream.send(name)
        try:
            await stream.receive()
        finally:
            ended.append(name)
            first_ended.set()

    async with TemporaryUdpListener(handler, max_senders=2) as address:
        with sender_to(address) as one, sender_to(address) as two, sender_to(address) as three:
            for sock, name in ((one, b"one"), (two, b"two"), (three, b"three")):
                sock.send(name)
                assert await hear(sock) == name
            await first_ended.wait()
            assert ended == [b"one"]


async def test_datagrams_that_nobody_receives_are_dropped_and_not_kept():
    release = anyio.Event()
    received: list[bytes] = []

    async def handler(stream: SenderStream) -> None:
        await stream.send(b"ready")
        await release.wait()
        async for datagram in stream:
            received.append(datagram)
            if datagram == b"end":
                await stream.send(b"done")

    async with TemporaryUdpListener(handler) as address:
        with sender_to(address) as sock:
            sock.send(b"begin")
            assert await hear(sock) == b"ready"
            for _ in range(2 * QUEUED_DATAGRAMS):
                sock.send(b"x")
                await checkpoint()
            await checkpoint()
            release.set()
            # What is queued is received first; only then is there room again.
            while len(received) < QUEUED_DATAGRAMS:
                await checkpoint()
            sock.send(b"end")
            assert await hear(sock) == b"done"
    assert len(received) < 2 * QUEUED_DATAGRAMS


async def test_failing_handler_ends_its_stream_and_the_listener_goes_on(
    caplog: pytest.LogCaptureFixture,
):
    async def handler(stream: SenderStream) -> None:
        datagram = await stream.receive()
        if datagram == b"bad":
            raise RuntimeError("a fault in the handler")
        if datagram == b"broken":
            raise anyio.BrokenResourceError
        if datagram == b"refused":
            raise JumpstarterException("the board is off: switch it on")
        await stream.send(datagram)

    with caplog.at_level(logging.INFO):
        async with TemporaryUdpListener(handler) as address:
            with ExitStack() as stack:
                for datagram in (b"bad", b"broken", b"refused"):
                    stack.enter_context(sender_to(address)).send(datagram)
                fine = stack.enter_context(sender_to(address))
                fine.send(b"fine")
                assert await hear(fine) == b"fine"
    assert "a fault in the handler" in caplog.text
    assert caplog.text.count("Traceback") == 1
    assert "BrokenResourceError" in caplog.text
    assert "stream of a sender ended: the board is off: switch it on" in caplog.text


async def test_closed_stream_refuses_and_the_sender_begins_another():
    async def handler(stream: SenderStream) -> None:
        datagram = await stream.receive()
        await stream.send_eof()
        await stream.send(datagram)
        await stream.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await stream.send(b"x")
        with pytest.raises(anyio.ClosedResourceError):
            await stream.receive()

    async with TemporaryUdpListener(handler) as address:
        with sender_to(address) as sock:
            for datagram in (b"first", b"second"):
                sock.send(datagram)
                assert await hear(sock) == datagram


async def test_answer_too_large_is_refused():
    refused: list[int | None] = []

    async def handler(stream: SenderStream) -> None:
        try:
            await stream.send(bytes(70_000))
        except OSError as error:
            refused.append(error.errno)
        await stream.send(b"small")

    async with TemporaryUdpListener(handler) as address:
        with sender_to(address) as sock:
            sock.send(b"?")
            assert await hear(sock) == b"small"
    assert refused == [errno.EMSGSIZE]


async def test_taken_port_is_an_error_that_names_it():
    async with TemporaryUdpListener(echo) as address:
        with pytest.raises(OSError, match=f"cannot listen on udp://127.0.0.1:{address[1]}: "):
            async with TemporaryUdpListener(echo, local_port=address[1]):
                pass


async def test_leaving_cancels_handlers_and_frees_the_port():
    cancelled = False

    async def handler(stream: SenderStream) -> None:
        nonlocal cancelled
        await stream.send(await stream.receive())
        try:
            await stream.receive()
        except anyio.get_cancelled_exc_class():
            cancelled = True
            raise

    async with TemporaryUdpListener(handler) as address:
        with sender_to(address) as sock:
            sock.send(b"x")
            await hear(sock)
    assert cancelled
    async with TemporaryUdpListener(echo, local_port=address[1]):
        pass
