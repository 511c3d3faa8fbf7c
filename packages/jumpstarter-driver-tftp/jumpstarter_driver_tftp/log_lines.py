"""The lines that a log gets about requests that have ended, written together.

A line costs as much as a block that is sent, and several in a row hardly more than one: what has to
be done for them is at hand after the first. So a line waits a moment for others.
"""

import asyncio
import logging

from jumpstarter_driver_tftp.journal import Entry, summary

TOGETHER_SECONDS = 0.05
"""How long a line waits at most."""


class LogLines:
    """The lines that wait to be written."""

    def __init__(self, logger: logging.Logger) -> None:
        """Write to `logger`."""
        self._logger = logger
        self._waiting: list[tuple[int, Entry]] = []

    def add(self, level: int, entry: Entry) -> None:
        """Have a line written about a request that has ended."""
        if self._logger.isEnabledFor(level):
            if not self._waiting:
                asyncio.get_running_loop().call_later(TOGETHER_SECONDS, self.write)
            self._waiting.append((level, entry))

    def write(self) -> None:
        """Write what waits now."""
        waiting, self._waiting = self._waiting, []
        for level, entry in waiting:
            # What `log` does besides is to look for its caller, which is always this.
            record = self._logger.makeRecord(
                self._logger.name, level, __file__, 0, summary(entry), (), None, "write"
            )
            self._logger.handle(record)
