"""Unary driver calls straight from the thread that makes them, without the event loop.

A call through a portal wakes the loop's thread and is woken by it; gRPC's blocking API waits in the
calling thread, which makes a call about a third cheaper. It needs a connection of its own, to the
same server.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import grpc
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc

from .stub import MetadataEntries

DriverCall: TypeAlias = Callable[
    [jumpstarter_pb2.DriverCallRequest], jumpstarter_pb2.DriverCallResponse
]


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how to connect; `credentials` None is for plaintext."""

    address: str
    credentials: grpc.ChannelCredentials | None
    options: list[tuple[str, str | int]]


@contextmanager
def connect_blocking(target: Target, metadata: MetadataEntries) -> Generator[DriverCall]:
    """Yield DriverCall over a connection of its own, made at the first call.

    It raises grpc.RpcError with the status of the server.
    """
    if target.credentials is None:
        channel = grpc.insecure_channel(target.address, target.options)
    else:
        channel = grpc.secure_channel(target.address, target.credentials, target.options)
    with channel:
        call = jumpstarter_pb2_grpc.ExporterServiceStub(channel).DriverCall
        yield lambda request: call(request, metadata=metadata)


def is_in_event_loop() -> bool:
    """Return whether this thread runs an event loop, which a blocking call would stop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
