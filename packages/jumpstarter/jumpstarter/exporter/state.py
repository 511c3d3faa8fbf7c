"""The status of a session: one owner, numbered changes, and news for whoever waits."""

from contextlib import suppress
from dataclasses import dataclass

import anyio

from jumpstarter.model.status import ExporterStatus
from jumpstarter.streams.broadcast import Broadcast


@dataclass(frozen=True, slots=True)
class StatusChange:
    """The status after a change; `version` grows by one with each, so a reader sees gaps."""

    status: ExporterStatus
    message: str = ""
    version: int = 0
    previous: ExporterStatus | None = None


class SessionState:
    """Holds the current status and tells subscribers of every change."""

    def __init__(self) -> None:
        """Begin as AVAILABLE, version 0."""
        self.current = StatusChange(ExporterStatus.AVAILABLE)
        self.changes: Broadcast[StatusChange] = Broadcast(history=1)

    def update(self, status: ExporterStatus, message: str) -> None:
        """Change the status."""
        before = self.current
        self.current = StatusChange(status, message, before.version + 1, before.status)
        self.changes.publish(self.current)

    async def after(self, known: str, seconds: float) -> StatusChange:
        """Return the current status, once its version is not `known` or `seconds` have passed."""
        with anyio.move_on_after(seconds), suppress(anyio.EndOfStream):
            async with self.changes.subscribe() as changes:
                while str(self.current.version) == known:
                    await changes.receive()
        return self.current
