"""The relays that `router.py` measures, each as a process: `ours`, and one as they are written.

    python router_relays.py ours|parsing CERTIFICATE KEY PUBLIC_KEYS

Prints its port. `parsing` is what grpc.aio and generated stubs make of a relay: a coroutine for
each direction, which parses a message, makes the other one of it, and waits until it is written.
"""

import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio
import grpc
from grpc.aio import Server, ServicerContext
from jumpstarter.rpc.portal import BACKEND, LOOP_OPTIONS
from jumpstarter.rpc.servers import Bind, serve
from jumpstarter_protocol import router_pb2, router_pb2_grpc
from jumpstarter_router import Router, Verifier, parse_keys, running_router
from typing_extensions import override

Context = ServicerContext[Any, Any]


@dataclass(eq=False)
class Side:
    """One call, and what tells its handler of the other one."""

    context: Context
    met: anyio.Event = field(default_factory=anyio.Event)
    done: anyio.Event = field(default_factory=anyio.Event)
    peer: "Side | None" = None


class Parsing(router_pb2_grpc.RouterServiceServicer):
    """Joins the calls of one token, as far as a measurement needs it."""

    def __init__(self) -> None:
        """Begin without calls."""
        self._waiting: dict[str | bytes, Side] = {}

    @override
    async def Stream(  # pyright: ignore[reportIncompatibleMethodOverride] - writes to the context
        self, request_iterator: AsyncIterator[router_pb2.StreamRequest], context: Context
    ) -> None:
        """Wait for the other side, then pass on what this one sends."""
        me = Side(context)
        token = dict(context.invocation_metadata() or ())["authorization"]
        peer = self._waiting.pop(token, None)
        if peer is None:
            self._waiting[token] = me
            await me.met.wait()
            peer = me.peer
        else:
            me.peer, peer.peer = peer, me
            peer.met.set()
        assert peer is not None  # noqa: S101 - set before the event
        while isinstance(frame := await context.read(), router_pb2.StreamRequest):
            kind = cast("Any", frame.frame_type)
            await peer.context.write(
                router_pb2.StreamResponse(payload=frame.payload, frame_type=kind)
            )
        me.done.set()
        await peer.done.wait()


async def ours(bind: Bind, keys: str) -> None:
    """Run our router."""
    parsed = parse_keys(keys)
    async with running_router(Router(Verifier(lambda: parsed)), [bind]) as router:
        tell(router.ports)
        await anyio.sleep_forever()


async def parsing(bind: Bind, _: str) -> None:
    """Run the baseline."""

    def register(server: Server) -> None:
        router_pb2_grpc.add_RouterServiceServicer_to_server(Parsing(), server)

    async with serve(register, [bind]) as ports:
        tell(ports)
        await anyio.sleep_forever()


def tell(ports: Sequence[int]) -> None:
    """Say where the relay is."""
    sys.stdout.write(f"{ports[0]}\n")
    sys.stdout.flush()


def main() -> None:
    """Run the relay that is named."""
    name, certificate, key, keys = sys.argv[1:]
    pair = Path(key).read_bytes(), Path(certificate).read_bytes()
    bind = Bind("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    relay = {"ours": ours, "parsing": parsing}[name]
    text = Path(keys).read_text(encoding="ascii")
    anyio.run(relay, bind, text, backend=BACKEND, backend_options=dict(LOOP_OPTIONS))


if __name__ == "__main__":
    main()
