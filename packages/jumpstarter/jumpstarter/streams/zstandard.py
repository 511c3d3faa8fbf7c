"""Zstandard, from the standard library where it has it. Imported by those who use it only."""

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def new_zstd_compressor() -> zstd.ZstdCompressor:
    """Return a compressor of one frame at the usual level."""
    return zstd.ZstdCompressor()


class ZstdMember:
    """Decompresses one frame; raises ValueError for bad data."""

    def __init__(self) -> None:
        """Expect the beginning of a frame."""
        self._inner = zstd.ZstdDecompressor()

    @property
    def eof(self) -> bool:
        """Whether the frame is complete."""
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        """What followed the frame."""
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        """Whether nothing more can be had without more data."""
        return self._inner.needs_input

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take `data` and return at most `max_length` bytes."""
        try:
            return self._inner.decompress(data, max_length)
        except zstd.ZstdError as error:
            raise ValueError(str(error)) from error
