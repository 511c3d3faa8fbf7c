"""What a client offers to a driver: its stream, plain where the driver wants it, with progress."""

from anyio.abc import ObjectStream

from jumpstarter.streams.compression import Compression
from jumpstarter.streams.progress import ProgressStream


def offered_stream(stream: ObjectStream[bytes], undo: str | None) -> ObjectStream[bytes]:
    """Return `stream` with a progress bar on a terminal.

    `undo` names the compression of its bytes that the exporter cannot undo itself.
    """
    if undo is not None:
        from jumpstarter.streams.encoding import compress_stream  # noqa: PLC0415 - slow, and rare

        stream = compress_stream(stream, Compression(undo))
    return ProgressStream(stream=stream)
