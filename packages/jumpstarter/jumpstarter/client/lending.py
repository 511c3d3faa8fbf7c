"""Lending a driver a stream of the client's for the time of one call, and whose error tells why.

A driver that gives up fails its call and closes the stream; the client sees both, in any order. The
call knows the reason, so its error wins. A stream of the client's that fails breaks the driver's
end, and so the call; then the stream knows the reason. A driver may also be content with a part of
what it is offered.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import ObjectStream

from jumpstarter.streams.background import background_tasks
from jumpstarter.streams.forwarding import reset_stream

IDLE_LIMIT = 30.0
"""Seconds without a byte after which a driver is no longer waited for, once the calls are over."""

_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError)


class _Loan:
    """The two copies, and what they came to."""

    def __init__(self, remote: ObjectStream[bytes], local: ObjectStream[bytes]) -> None:
        self.failure: Exception | None = None
        self.is_cut = False
        self.received = anyio.Event()
        self._moved = 0
        self._remote = remote
        self._local = local

    async def upload(self) -> None:
        """Send what the client's stream has until the driver takes no more."""
        try:
            async for chunk in self._local:
                if not await self._offer(chunk):
                    return
                self._moved += 1
        except Exception as error:  # noqa: BLE001 - raised again when the call has ended
            await self._fail(error)
        else:
            await self._offer(None)

    async def download(self) -> None:
        """Pass on what the driver writes, to its end."""
        try:
            async for chunk in self._answers():
                await self._local.send(chunk)
                self._moved += 1
            if not self.is_cut:
                await self._local.send_eof()
        except Exception as error:  # noqa: BLE001 - raised again when the call has ended
            await self._fail(error)
        finally:
            self.received.set()

    async def finish(self) -> None:
        """Wait for what the driver writes; raises BrokenResourceError where it cannot be had."""
        while not self.received.is_set():
            before = self._moved
            with anyio.move_on_after(IDLE_LIMIT):
                await self.received.wait()
            if not self.received.is_set() and self._moved == before:
                message = (
                    f"no driver has used the stream for {IDLE_LIMIT:g} s: pass its handle to a call"
                )
                raise anyio.BrokenResourceError(message)
        if self.is_cut:
            message = "the connection was lost before the driver had answered in full"
            raise anyio.BrokenResourceError(message)

    async def _offer(self, chunk: bytes | None) -> bool:
        try:
            if chunk is None:
                await self._remote.send_eof()
            else:
                await self._remote.send(chunk)
        except _BROKEN:
            return False
        return True

    async def _answers(self) -> AsyncGenerator[bytes]:
        try:
            while True:
                yield await self._remote.receive()
        except anyio.EndOfStream:
            return
        except _BROKEN:
            self.is_cut = True

    async def _fail(self, error: Exception) -> None:
        self.failure = error
        await reset_stream(self._remote)


@asynccontextmanager
async def lend(remote: ObjectStream[bytes], local: ObjectStream[bytes]) -> AsyncGenerator[None]:
    """Copy between the driver's `remote` and the client's `local` beside the body, which calls.

    Leaving waits for what the driver writes, not for the rest of what it was offered, and closes
    `local`. Raises what `local` raised, else what the body did, else BrokenResourceError when the
    connection was lost, or when nothing moves for `IDLE_LIMIT`: then no call was given the handle.
    """
    loan = _Loan(remote, local)
    try:
        async with local, background_tasks() as tasks:
            tasks.start_soon(loan.upload)
            tasks.start_soon(loan.download)
            yield
            await loan.finish()
    finally:
        if loan.failure is not None:
            raise loan.failure
