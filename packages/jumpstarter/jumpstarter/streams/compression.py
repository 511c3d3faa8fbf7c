"""The compressions that a stream may use, and how their data begins. Costs nothing to import."""

from dataclasses import dataclass
from enum import StrEnum


class Compression(StrEnum):
    """A way to compress; the value is its name on the wire and on the command line."""

    GZIP = "gzip"
    XZ = "xz"
    BZ2 = "bz2"
    ZSTD = "zstd"


@dataclass(frozen=True)
class FileSignature:
    """The bytes with which all data of one compression begin."""

    signature: bytes
    compression: Compression


COMPRESSION_SIGNATURES = (
    FileSignature(b"\x1f\x8b\x08", Compression.GZIP),
    FileSignature(b"\xfd7zXZ\x00", Compression.XZ),
    FileSignature(b"BZh", Compression.BZ2),
    FileSignature(b"\x28\xb5\x2f\xfd", Compression.ZSTD),
)
"""Every known beginning; none is the beginning of another."""

SIGNATURE_BUFFER_SIZE = 8
"""Bytes that decide about any signature."""


def detect_compression_from_signature(data: bytes) -> Compression | None:
    """Return how `data`, the first bytes of a file, is compressed; None when it is not."""
    for known in COMPRESSION_SIGNATURES:
        if data.startswith(known.signature):
            return known.compression
    return None
