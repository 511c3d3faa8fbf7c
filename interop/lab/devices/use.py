"""What a user's script does in a shell: `python use.py WHAT …`, for clients of every release.

What it finds is printed as one line of JSON, the last of its output.
"""

import concurrent.futures
import hashlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import anyio
from jumpstarter.utils.env import env
from jumpstarter_driver_network.adapters import TcpPortforwardAdapter

Client = Any
CHUNK = 1 << 18

AGAIN_SECONDS = 3.0
"""How long another connection is tried after the first has failed."""


def tell(text: str) -> None:
    """Say something to whoever reads the output now."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def failure(function: Callable[[], object]) -> str | None:
    """Return the name of the error that the function raises."""
    try:
        function()
    except Exception as error:  # noqa: BLE001 - which one it is, is what is asked
        return type(error).__name__
    return None


def calls(client: Client) -> dict[str, object]:
    """Call, fail, and iterate."""
    probe = client.probe
    client.power.on()
    return {
        "power": [reading.voltage for reading in client.power.read()],
        "count": list(probe.streamingcall("count", 100)),
        "value": failure(lambda: probe.call("fail", "why")),
        "absent": failure(lambda: probe.call("absent")),
    }


def exchange(client: Client, size: int) -> str:
    """Send `size` bytes over a stream, take the echo, and return its digest."""
    data = bytes(range(256)) * (size // 256)

    async def talk() -> str:
        digest = hashlib.sha256()
        async with (
            client.probe.stream_async("connect") as stream,
            anyio.create_task_group() as tasks,
        ):

            async def send() -> None:
                for start in range(0, size, CHUNK):
                    await stream.send(data[start : start + CHUNK])

            tasks.start_soon(send)
            received = 0
            while received < size:
                piece = await stream.receive()
                received += len(piece)
                digest.update(piece)
        return digest.hexdigest()

    return client.portal.call(talk)


def forward(client: Client, size: int, begun: Callable[[], None] | None = None) -> str:
    """Take `size` bytes through a port forward; return their digest. Tell when they flow."""
    digest, received = hashlib.sha256(), 0
    with (
        TcpPortforwardAdapter(client=client.net) as address,
        socket.create_connection(address) as connection,
    ):
        connection.sendall(f"{size}\n".encode())
        while piece := connection.recv(CHUNK):
            if begun is not None and not received:
                begun()
            received += len(piece)
            digest.update(piece)
            if received == size:
                break
    return digest.hexdigest()


def session(client: Client, size: str) -> object:
    """Do all of the above."""
    found = calls(client)
    found["stream"] = exchange(client, 1 << 20)
    begin = time.monotonic()
    found["forward"] = forward(client, int(size))
    found["seconds"] = round(time.monotonic() - begin, 1)
    return found


def transfer(client: Client, size: str) -> object:
    """Take many bytes."""
    return forward(client, int(size), begun=lambda: tell("begins"))


def say(client: Client, text: str) -> object:
    """Have the exporter log something, and give the log time to arrive."""
    client.probe.call("say", text)
    return client.probe.call("mark", text)


def mark(client: Client, text: str) -> object:
    """Have one effect."""
    return client.probe.call("mark", text)


def idle(client: Client, seconds: str) -> object:
    """Hold a stream and the connection, say nothing, and then use both."""

    async def wait() -> bool:
        async with client.probe.stream_async("connect") as stream:
            await stream.send(b"before")
            before = await stream.receive()
            await anyio.sleep(float(seconds))
            await stream.send(b"after")
            return (before, await stream.receive()) == (b"before", b"after")

    begin = time.monotonic()
    held = client.portal.call(wait)
    client.probe.call("mark", "after the pause")
    return {"held": held, "seconds": time.monotonic() - begin}


def pound(client: Client, text: str) -> NoReturn:
    """Have effects over an open stream, and by calls, until both fail; then connect anew.

    The hangup with which a shell says that its lease is over does not stop it.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    tell("begins")

    async def send() -> None:
        async with client.probe.stream_async("connect") as stream:
            while True:
                await stream.send(text.encode())
                await stream.receive()
                await anyio.sleep(0.02)

    stream = client.portal.start_task_soon(send)
    called = None
    while called is None:
        called = failure(lambda: client.probe.call("mark", text))

    def again() -> None:
        with env() as connected:
            other: Client = connected
            other.probe.call("mark", f"{text} again")

    # Clients of release 0.9.0 try for long; what counts is what the device has recorded.
    threading.Thread(target=failure, args=(again,), daemon=True).start()
    concurrent.futures.wait([stream], AGAIN_SECONDS)
    tell(json.dumps({"call": called, "stream": stream.done()}))
    os._exit(0)


def main() -> None:
    """Do what the command line says."""
    with env() as client:
        found = globals()[sys.argv[1]](client, *sys.argv[2:])
        tell(json.dumps(found))


if __name__ == "__main__":
    main()
