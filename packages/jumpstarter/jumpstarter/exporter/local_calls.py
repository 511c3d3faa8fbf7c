"""Calls that clients of this machine make over the socket of calls.

Each connection has a thread. A plain method is called in it; a coroutine runs on the event loop, as
over gRPC, and is cancelled when its client leaves.
"""

import asyncio
import socket
from typing import Final

import grpc
from google.protobuf.message import DecodeError
from jumpstarter_protocol import jumpstarter_pb2

from jumpstarter.driver import dispatch
from jumpstarter.driver.base import Driver
from jumpstarter.rpc.call_socket import ELSEWHERE, MAX_MESSAGE, OK, Answer

from .service import FAILURES, SessionService, is_cancellation, status_of

NOT_A_CALL: Final = (grpc.StatusCode.INTERNAL, "the request is not a message of DriverCall")


class LocalCalls:
    """Answers as `service` does over gRPC."""

    def __init__(self, service: SessionService) -> None:
        """Find drivers, and run coroutines, by `service`."""
        self._service = service
        self._loop = asyncio.get_running_loop()

    def answer(self, connection: socket.socket, message: bytes) -> Answer:
        """Make the call that `message` holds, in a thread of the connection's own."""
        try:
            request = jumpstarter_pb2.DriverCallRequest.FromString(message)
        except DecodeError:
            return _failure(*NOT_A_CALL)
        try:
            driver = self._service.driver(request.uuid)
            if type(driver).DriverCall is not Driver.DriverCall:
                # It may want to see the context that gRPC has for a call.
                return ELSEWHERE, b""
            response = dispatch.call_plain(driver, request)
        except FAILURES as error:
            return _failure(*status_of(error))
        if response is not None:
            return _success(response)
        # Not by anyio: it would cancel the coroutine too, and no driver expects that twice.
        answer = self._on_the_loop(connection, request)
        return asyncio.run_coroutine_threadsafe(answer, self._loop).result()

    async def _on_the_loop(
        self, connection: socket.socket, request: jumpstarter_pb2.DriverCallRequest
    ) -> Answer:
        watch = _Watch(self._loop, connection)
        try:
            return _success(await self._service.call(request))
        except FAILURES as error:
            if is_cancellation(error):
                raise
            return _failure(*status_of(error))
        finally:
            watch.end()


class _Watch:
    """Cancels the task that makes it when the client at the far end of a connection leaves."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        self._task = asyncio.current_task()
        self._loop = loop
        self._connection = connection
        # A client says nothing before it has its answer, unless it leaves.
        loop.add_reader(connection, self._cancel)

    def end(self) -> None:
        """Watch no more, and forget the task, which keeps all that it used while it is known."""
        self._task = None
        self._loop.remove_reader(self._connection)
        # uvloop lets nothing block that it watches.
        self._connection.setblocking(True)  # noqa: FBT003 - its own signature

    def _cancel(self) -> None:
        # Once, as gRPC does: cleaning up may take more than a moment.
        self._loop.remove_reader(self._connection)
        if self._task is not None:
            self._task.cancel()


def _success(response: jumpstarter_pb2.DriverCallResponse) -> Answer:
    message = response.SerializeToString()
    if len(message) > MAX_MESSAGE:
        details = f"the result has {len(message)} bytes, of at most {MAX_MESSAGE}"
        return _failure(grpc.StatusCode.RESOURCE_EXHAUSTED, details)
    return OK, message


def _failure(code: grpc.StatusCode, details: str) -> Answer:
    return int(code.value[0]), details.encode()
