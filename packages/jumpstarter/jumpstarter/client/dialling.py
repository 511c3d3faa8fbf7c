"""Reaching a leased exporter: the controller's word for each connection, and a tunnel for it.

A local Unix socket stands for the exporter. Each of its connections is dialled for itself, so a
program that connects again after a break needs nothing else to go on.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
from grpc.aio import AioRpcError, Channel
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc

from jumpstarter.model.errors import ExporterUnreachableError, LeaseTransferredError
from jumpstarter.model.lease_progress import Dialled, judge_dial
from jumpstarter.rpc.channels import TLSSettings
from jumpstarter.rpc.retry import Backoff
from jumpstarter.rpc.tunnel import connect_router_stream
from jumpstarter.rpc.unary import answer
from jumpstarter.streams.listeners import TemporaryUnixListener
from jumpstarter.streams.sockets import SocketStream

FIRST_WAIT_S: Final = 0.3
LONGEST_WAIT_S: Final = 2.0

KEEP_SECONDS: Final = 60.0
"""How long the answer to the first Dial waits for the first connection; a token lasts longer."""


@dataclass(kw_only=True)
class Dialler:
    """Dials the exporter of one lease, and carries connections to it."""

    channel: Callable[[], Channel]
    lease: str
    timeout: float
    tls_config: TLSSettings
    grpc_options: Mapping[str, str | int]
    _kept: tuple[float, jumpstarter_pb2.DialResponse] | None = field(default=None, init=False)

    async def dial(self) -> jumpstarter_pb2.DialResponse:
        """Return where the exporter will be met, waiting while it is on its way.

        Raises LeaseTransferredError, and ExporterUnreachableError with the controller's words.
        """
        backoff = Backoff(first_s=FIRST_WAIT_S, longest_s=LONGEST_WAIT_S)
        began = anyio.current_time()
        said = "the controller did not answer"
        with anyio.move_on_after(self.timeout):
            while True:
                try:
                    return await self._ask()
                except AioRpcError as error:
                    said = error.details() or error.code().name
                    if self._is_lost(error.code().name, said):
                        break
                await backoff.wait()
        seconds = anyio.current_time() - began
        message = f"exporter of lease {self.lease} unreachable after {seconds:.0f} s: {said}"
        raise ExporterUnreachableError(message)

    @asynccontextmanager
    async def serve_unix(self) -> AsyncGenerator[Path]:
        """Yield the path of a socket that stands for the exporter; raises as `dial` does.

        The exporter has been dialled by then: who connects need not find out that it is not there.
        """
        self._kept = anyio.current_time(), await self.dial()
        async with TemporaryUnixListener(self.carry) as path:
            yield path

    async def carry(self, local: SocketStream) -> None:
        """Carry one connection to the exporter, until both of its directions have ended."""
        dialled = self._take_kept() or await self.dial()
        async with connect_router_stream(
            dialled.router_endpoint,
            dialled.router_token,
            local,
            self.tls_config,
            self.grpc_options,
        ):
            pass

    async def _ask(self) -> jumpstarter_pb2.DialResponse:
        stub = jumpstarter_pb2_grpc.ControllerServiceStub(self.channel())
        return await answer(stub.Dial(jumpstarter_pb2.DialRequest(lease_name=self.lease)))

    def _is_lost(self, code: str, said: str) -> bool:
        match judge_dial(code, said):
            case Dialled.TRANSFERRED:
                message = f"lease {self.lease} was transferred to another client"
                raise LeaseTransferredError(message) from None
            case dialled:
                return dialled is Dialled.LOST

    def _take_kept(self) -> jumpstarter_pb2.DialResponse | None:
        kept, self._kept = self._kept, None
        if kept is None or anyio.current_time() - kept[0] > KEEP_SECONDS:
            return None
        return kept[1]
