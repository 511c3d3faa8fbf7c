"""What gRPC alone does: about the least that calls, or a TCP port forward, over grpc.aio can cost.

No drivers, no values, no failures: bytes go in and come out, on the loop that our packages use.
Nobody could work with it; it says how much of a figure is gRPC's.
"""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

# As our packages do, before gRPC is imported.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import grpc
from anyio.from_thread import start_blocking_portal
from peer import print_figures, service
from timing import per_second, report

SECONDS = 2.0
SERVICE = "bare.Bare"
REQUEST = bytes(60)
CHUNK = 1 << 20
END = b"end"

Context: TypeAlias = grpc.aio.ServicerContext[bytes, bytes]
Method: TypeAlias = Callable[[bytes], bytes]
Call: TypeAlias = grpc.aio.StreamStreamCall[bytes, bytes]


@asynccontextmanager
async def server(methods: dict[str, Any]) -> AsyncGenerator[str]:
    """Serve `methods` on a Unix socket and yield its address."""
    with tempfile.TemporaryDirectory() as directory:
        address = f"unix:{directory}/socket"
        serving = grpc.aio.server()
        handler = grpc.method_handlers_generic_handler(SERVICE, methods)
        serving.add_generic_rpc_handlers((handler,))
        serving.add_insecure_port(address)
        await serving.start()
        try:
            yield address
        finally:
            await serving.stop(None)


@asynccontextmanager
async def echo_server() -> AsyncGenerator[str]:
    """Answer each call with its request: at once, or from another thread."""
    loop = asyncio.get_running_loop()

    async def echo(request: bytes, _: object) -> bytes:
        return request

    async def echo_in_thread(request: bytes, _: object) -> bytes:
        return await loop.run_in_executor(pool, lambda: request)

    methods: dict[str, Any] = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "EchoInThread": grpc.unary_unary_rpc_method_handler(echo_in_thread),
    }
    with ThreadPoolExecutor(8) as pool:
        async with server(methods) as address:
            yield address


def calls() -> None:
    """Measure calls of gRPC's blocking client."""
    with (
        start_blocking_portal("asyncio", {"use_uvloop": True}) as portal,
        portal.wrap_async_context_manager(echo_server()) as address,
        grpc.insecure_channel(address) as channel,
    ):
        echo = cast("Method", channel.unary_unary(f"/{SERVICE}/Echo"))
        echo_in_thread = cast("Method", channel.unary_unary(f"/{SERVICE}/EchoInThread"))
        report(
            {
                "calls_per_s": per_second(lambda: echo_in_thread(REQUEST), SECONDS),
                "calls_async_per_s": per_second(lambda: echo(REQUEST), SECONDS),
            }
        )


@asynccontextmanager
async def forward(port: int) -> AsyncGenerator[int]:
    """Forward a local port, which is yielded, to `port`; a connection is one call."""
    loop = asyncio.get_running_loop()

    async def carry(_: object, context: Context) -> None:
        target = socket.socket()
        target.settimeout(0)
        await loop.sock_connect(target, ("127.0.0.1", port))
        await context.send_initial_metadata(())
        await both_ways(target, context.read, context.write)

    methods: dict[str, Any] = {"Carry": grpc.stream_stream_rpc_method_handler(carry)}
    async with (
        server(methods) as address,
        grpc.aio.insecure_channel(address) as channel,
        asyncio.TaskGroup() as tasks,
    ):
        begin = cast("Callable[[], Call]", channel.stream_stream(f"/{SERVICE}/Carry"))

        async def serve(connection: socket.socket) -> None:
            call = begin()
            await call.initial_metadata()
            await both_ways(connection, call.read, call.write)
            await call.code()

        async def accept(listener: socket.socket) -> None:
            while True:
                connection, _ = await loop.sock_accept(listener)
                tasks.create_task(serve(connection))

        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
            listener.settimeout(0)
            accepting = tasks.create_task(accept(listener))
            yield listener.getsockname()[1]
            accepting.cancel()


async def both_ways(
    sock: socket.socket,
    read: Callable[[], Awaitable[Any]],
    write: Callable[[bytes], Awaitable[None]],
) -> None:
    """Copy between a socket and a call until both have ended, and close the socket."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    loop = asyncio.get_running_loop()
    with sock:
        out = loop.create_task(to_call(sock, write))
        while (message := await read()) != END:
            await loop.sock_sendall(sock, message)
        sock.shutdown(socket.SHUT_WR)
        await out


async def to_call(sock: socket.socket, write: Callable[[bytes], Awaitable[None]]) -> None:
    """Send what the socket receives, and the mark of its end."""
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(sock, CHUNK):
        await write(data)
    await write(END)


def connections() -> None:
    """Measure the forward."""
    with (
        service() as port,
        start_blocking_portal("asyncio", {"use_uvloop": True}) as portal,
        portal.wrap_async_context_manager(forward(port)) as local,
    ):
        print_figures(local)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["calls"]:
            calls()
        case ["forward"]:
            connections()
        case _:
            sys.exit("bare.py: use calls or forward")
