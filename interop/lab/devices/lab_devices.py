"""A driver whose effects can be counted; exporters of every release build it."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.streams.stapled import StapledObjectStream
from jumpstarter.driver import Driver, export, exportstream
from pydantic.dataclasses import dataclass


@dataclass(kw_only=True)
class Probe(Driver):
    """Writes each effect that a client has on it as a line of the file `record`."""

    record: str

    @classmethod
    def client(cls) -> str:
        """Return the plainest of all clients."""
        return "jumpstarter.client.DriverClient"

    @export
    def mark(self, text: str) -> int:
        """Have an effect."""
        return self._write(f"call {text}")

    @export
    async def count(self, limit: int) -> AsyncGenerator[int]:
        """Yield some numbers."""
        for number in range(int(limit)):
            yield number

    @export
    def say(self, text: str) -> None:
        """Log something."""
        self.logger.info(text)

    @export
    def fail(self, text: str) -> None:
        """Refuse the value."""
        raise ValueError(text)

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[StapledObjectStream[bytes]]:
        """Echo, with an effect for each piece."""
        send, taken = anyio.create_memory_object_stream[bytes](8)
        given, receive = anyio.create_memory_object_stream[bytes](8)

        async def echo() -> None:
            async with taken, given:
                async for piece in taken:
                    self._write(f"stream {len(piece)}")
                    await given.send(piece)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(echo)
            yield StapledObjectStream(send, receive)
            tasks.cancel_scope.cancel()

    def _write(self, line: str) -> int:
        path = Path(self.record)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line} {os.getpid()}\n")
        return os.getpid()
