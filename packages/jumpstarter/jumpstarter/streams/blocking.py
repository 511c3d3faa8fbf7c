"""The blocking face of a stream, for code in another thread than the stream's loop."""

from dataclasses import dataclass

from anyio.abc import ByteStream, ObjectStream
from anyio.from_thread import BlockingPortal


@dataclass(kw_only=True)
class BlockingStream:
    """Sends to and receives from `stream` through the portal of its loop.

    Every method raises what the stream raises, and must not be called in the portal's own thread.
    """

    stream: ObjectStream[bytes] | ByteStream
    portal: BlockingPortal

    def send(self, data: bytes) -> None:
        """Send `data`, waiting until the stream has taken it."""
        self.portal.call(self.stream.send, data)

    def receive(self) -> bytes:
        """Return the next chunk, waiting for it; raises EndOfStream when there is none."""
        return self.portal.call(self.stream.receive)

    def send_eof(self) -> None:
        """Tell the peer that no more data follows; receiving goes on."""
        self.portal.call(self.stream.send_eof)
