"""Unary driver calls straight from the thread that makes them, without the event loop.

A call through a portal wakes the loop's thread and is woken by it; gRPC's blocking API waits in the
calling thread, which makes a call about a third cheaper. It needs a connection of its own, to the
same server. An exporter on the same machine has a socket for calls, which is faster still.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import grpc
from jumpstarter_protocol import jumpstarter_pb2, jumpstarter_pb2_grpc

from .call_socket import ELSEWHERE, MAX_MESSAGE, OK, Answer, receive, send
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


class CallFailed(grpc.RpcError):
    """The status with which a call over a socket of calls has failed."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        """Keep both, as gRPC's own errors do."""
        super().__init__(f"{code.name}: {details}")
        self._code = code
        self._details = details

    def code(self) -> grpc.StatusCode:
        """Return the status."""
        return self._code

    def details(self) -> str:
        """Return what the exporter says."""
        return self._details


class CallSocket:
    """Makes calls over the socket of calls at `path`, and over gRPC those that it does not take.

    There is a connection for each call that is made at the same time; they are kept.
    """

    def __init__(self, path: Path, over_grpc: DriverCall) -> None:
        """Begin without a connection."""
        self._path = path
        self._over_grpc = over_grpc
        self._idle: list[socket.socket] = []
        self._busy: set[socket.socket] = set()
        self._process = os.getpid()
        self._closed = False

    def __call__(
        self, request: jumpstarter_pb2.DriverCallRequest
    ) -> jumpstarter_pb2.DriverCallResponse:
        """Return the answer. Raises grpc.RpcError with a status, ValueError after `close`."""
        message = request.SerializeToString()
        connection = self._connection() if len(message) <= MAX_MESSAGE else None
        if connection is None:
            return self._over_grpc(request)
        code, message = self._ask(connection, message)
        if code == OK:
            return jumpstarter_pb2.DriverCallResponse.FromString(message)
        if code == ELSEWHERE:
            return self._over_grpc(request)
        raise CallFailed(_STATUSES.get(code, grpc.StatusCode.UNKNOWN), message.decode())

    def close(self) -> None:
        """End all connections, and the calls that wait for an answer."""
        self._closed = True
        for connection in [*self._busy]:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _connection(self) -> socket.socket | None:
        """Return one that no call uses; None where the exporter takes no more."""
        if self._closed:
            message = "the socket of calls is closed"
            raise ValueError(message)
        if self._process != os.getpid():
            # Two processes that talk over one connection would take each other's answers.
            self._close_idle()
            self._process = os.getpid()
        with suppress(IndexError):
            return self._idle.pop()
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            return None
        return connection

    def _ask(self, connection: socket.socket, message: bytes) -> Answer:
        self._busy.add(connection)
        answer = None
        try:
            send(connection, OK, message)
            answer = receive(connection)
        except OSError as error:
            raise CallFailed(grpc.StatusCode.UNAVAILABLE, str(error)) from error
        finally:
            self._busy.discard(connection)
            if answer is None or self._closed:
                connection.close()
            else:
                self._idle.append(connection)
        if answer is None:
            raise CallFailed(grpc.StatusCode.UNAVAILABLE, "the exporter has ended the connection")
        return answer


_STATUSES: Final = {int(status.value[0]): status for status in grpc.StatusCode}


@contextmanager
def connect_blocking(
    target: Target, metadata: MetadataEntries, calls: Path | None = None
) -> Generator[DriverCall]:
    """Yield DriverCall over connections of its own, made at the first call.

    `calls` is the exporter's socket of calls. What is yielded raises grpc.RpcError with the status
    of the server.
    """
    if target.credentials is None:
        channel = grpc.insecure_channel(target.address, target.options)
    else:
        channel = grpc.secure_channel(target.address, target.credentials, target.options)
    with channel:
        call = jumpstarter_pb2_grpc.ExporterServiceStub(channel).DriverCall

        def over_grpc(
            request: jumpstarter_pb2.DriverCallRequest,
        ) -> jumpstarter_pb2.DriverCallResponse:
            return call(request, metadata=metadata)

        if calls is None:
            yield over_grpc
            return
        with closing(CallSocket(calls, over_grpc)) as over_socket:
            yield over_socket


def is_in_event_loop() -> bool:
    """Return whether this thread runs an event loop, which a blocking call would stop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
