"""The health service of gRPC, `grpc.health.v1.Health`, by which others see whether a server serves.

Its messages hold one field each, so the well-known wrappers have their form on the wire; the code
generated for them, which other packages bring, is not needed.
"""

from collections.abc import Callable
from typing import Any, Final, cast

import anyio
import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue
from grpc.aio import Server, ServicerContext

from .vanishing import to_client

SERVICE: Final = "grpc.health.v1.Health"
SERVING: Final = 1
NOT_SERVING: Final = 2
SERVICE_UNKNOWN: Final = 3

Context = ServicerContext[StringValue, Int32Value]


class Health:
    """Whether a server serves; what is asked for by name is "" for all of it, or a service."""

    def __init__(self, services: tuple[str, ...] = ()) -> None:
        """Begin as one that serves `services`."""
        self._names = {"", *services}
        self._serving = True
        self._changed = anyio.Event()

    def set(self, *, serving: bool) -> None:
        """Say whether the server serves, from now on."""
        self._serving = serving
        self._changed.set()
        self._changed = anyio.Event()

    def add_to(self, server: Server) -> None:
        """Let `server` answer for this."""
        unary: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
            cast("Any", self.check), StringValue.FromString, _serialize
        )
        stream: grpc.RpcMethodHandler[Any, Any] = grpc.unary_stream_rpc_method_handler(
            cast("Any", self.watch), StringValue.FromString, _serialize
        )
        methods = {"Check": unary, "Watch": stream}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))

    async def check(self, request: StringValue, context: Context) -> Int32Value:
        """Answer once."""
        if request.value not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return self._status(request.value)

    async def watch(self, request: StringValue, context: Context) -> None:
        """Answer at once, and at each change."""
        last: Int32Value | None = None
        while True:
            changed, status = self._changed, self._status(request.value)
            if status != last:
                await to_client(context.write(status))
                last = status
            await changed.wait()

    def _status(self, service: str) -> Int32Value:
        if service not in self._names:
            return Int32Value(value=SERVICE_UNKNOWN)
        return Int32Value(value=SERVING if self._serving else NOT_SERVING)


_serialize: Callable[[Int32Value], bytes] = Int32Value.SerializeToString
