"""One end of each of many tunnels, as a process: it sends, receives, or is idle.

    python router_load.py send|receive|idle PORT CERTIFICATE PAYLOAD MESSAGES < TOKENS

Reads a line of JSON, the tokens; opens a connection and a call for each, as the programs do; prints
`ready` when all have met their other end. After another line it begins, and prints `done`.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, cast

import anyio
import grpc
from jumpstarter.model.frames import FrameType, encode_frame
from jumpstarter.rpc.channels import channel_options
from jumpstarter.rpc.portal import BACKEND, LOOP_OPTIONS
from jumpstarter.rpc.stub import STREAM_METHOD

HELLO = encode_frame(FrameType.DATA, b"hello")
AT_ONCE = 50


async def tunnel(role: str, call: Any, message: bytes, count: int) -> None:  # noqa: ANN401 - a call
    """Do what there is to do at one end."""
    if role == "send":
        for _ in range(count):
            await call.write(message)
    elif role == "receive":
        for _ in range(count):
            if len(await call.read()) != len(message):
                raise RuntimeError("a message did not arrive as it was sent")


async def opened(
    port: str, ca: bytes, token: str, limiter: anyio.CapacityLimiter
) -> tuple[grpc.aio.Channel, Any]:
    """Return a call that has met its other end, and its channel, which closes when it is let go."""
    async with limiter:
        options = channel_options({"grpc.use_local_subchannel_pool": 1})
        credentials = grpc.ssl_channel_credentials(ca)
        channel = grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options)
        stream = cast("Any", channel.stream_stream(STREAM_METHOD, None, None))
        call = stream(metadata=(("authorization", f"Bearer {token}"),))
        await call.wait_for_connection()
        await call.write(HELLO)
    await call.read()
    return channel, call


async def run(role: str, port: str, ca: bytes, message: bytes, count: int) -> None:
    """Open all tunnels, wait for the word, and use them."""
    tokens: list[str] = json.loads(await anyio.to_thread.run_sync(sys.stdin.readline))
    limiter = anyio.CapacityLimiter(AT_ONCE)
    tunnels: list[tuple[grpc.aio.Channel, Any]] = []

    async def open_one(token: str) -> None:
        tunnels.append(await opened(port, ca, token, limiter))

    async with anyio.create_task_group() as tasks:
        for token in tokens:
            tasks.start_soon(open_one, token)
    say("ready")
    await anyio.to_thread.run_sync(sys.stdin.readline)
    async with anyio.create_task_group() as tasks:
        for _, call in tunnels:
            tasks.start_soon(tunnel, role, call, message, count)
    say("done")
    await anyio.to_thread.run_sync(sys.stdin.readline)


def say(word: str) -> None:
    """Print a word at once."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    """Run one end; leave without closing what nobody needs any more."""
    role, port, certificate, payload, count = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    message = encode_frame(FrameType.DATA, os.urandom(int(payload)))
    ca = Path(certificate).read_bytes()
    anyio.run(
        run,
        role,
        port,
        ca,
        message,
        int(count),
        backend=BACKEND,
        backend_options=dict(LOOP_OPTIONS),
    )


if __name__ == "__main__":
    main()
