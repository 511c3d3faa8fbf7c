"""The stream that passes everything on to another, for those that change one thing about it."""

from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from anyio.abc import ObjectStream

from .forwarding import AnyByteStream, reset_stream


@dataclass(kw_only=True, eq=False)
class WrappingStream(ObjectStream[bytes], ABC):
    """Behaves as `stream` does, attributes and reset included, and owns it."""

    stream: AnyByteStream

    async def receive(self) -> bytes:
        """Return the next chunk of the stream."""
        return await self.stream.receive()

    async def send(self, item: bytes) -> None:
        """Send `item` through the stream."""
        await self.stream.send(item)

    async def send_eof(self) -> None:
        """Tell the stream's peer that nothing more follows."""
        await self.stream.send_eof()

    async def aclose(self) -> None:
        """Close the stream."""
        await self.stream.aclose()

    async def reset(self) -> None:
        """Close the stream so that its peer sees a failure, as far as it is able to."""
        await reset_stream(self.stream)

    @property
    def extra_attributes(self) -> Mapping[object, Callable[[], object]]:
        """The stream's attributes."""
        return self.stream.extra_attributes  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - anyio leaves a type variable open
