"""Calls in progress: counted, so that a session can let the last one clean up before it ends."""

import anyio


class InProgress:
    """A context manager that each call enters for as long as it runs."""

    def __init__(self) -> None:
        """Begin with none."""
        self.count = 0
        self._none = anyio.Event()

    def __enter__(self) -> None:
        """Count one more."""
        self.count += 1

    def __exit__(self, *_: object) -> None:
        """Count one less."""
        self.count -= 1
        if not self.count:
            self._none.set()

    async def wait_for_none(self) -> None:
        """Return when no call is in progress."""
        while self.count:
            self._none = anyio.Event()
            await self._none.wait()
