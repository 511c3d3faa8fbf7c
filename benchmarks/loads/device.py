"""The drivers that the loads call; written so that release 0.9.0 runs them too."""

from collections.abc import AsyncIterator, Iterator

from jumpstarter.driver import Driver, export


class Device(Driver):
    """Answers at once, so that a call costs what the way there and back costs."""

    @classmethod
    def client(cls) -> str:
        """Return the plain client."""
        return "jumpstarter.client.DriverClient"

    @export
    def echo(self, value: str) -> str:
        """Return `value`, from a worker thread."""
        return value

    @export
    async def echo_async(self, value: str) -> str:
        """Return `value`, from the event loop."""
        return value

    @export
    def count(self, items: int) -> Iterator[int]:
        """Yield numbers from a plain generator."""
        yield from range(int(items))

    @export
    async def count_async(self, items: int) -> AsyncIterator[int]:
        """Yield numbers from an async generator."""
        for item in range(int(items)):
            yield item
