"""Every compression, cut at every place."""

import bz2
import gzip
import lzma
import subprocess
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpstarter.streams.compression import (
    COMPRESSION_SIGNATURES,
    SIGNATURE_BUFFER_SIZE,
    Compression,
    detect_compression_from_signature,
)
from jumpstarter.streams.compressors import (
    PIECE_SIZE,
    DecompressionError,
    create_compressor,
    create_decompressor,
)

every_compression = pytest.mark.parametrize("compression", list(Compression))
TEXT = b"a board that boots " * 20


def compressed(compression: Compression, data: bytes) -> bytes:
    compressor = create_compressor(compression)
    return compressor.compress(data) + compressor.flush()


def decompress_whole(compression: Compression, data: bytes) -> bytes:
    decompressor = create_decompressor(compression)
    return decompressor.decompress(data) + decompressor.flush()


@every_compression
@settings(max_examples=30, deadline=None)
@given(chunks=st.lists(st.binary(max_size=5000), max_size=5), step=st.integers(1, 2000))
def test_round_trip_is_exact(compression: Compression, chunks: list[bytes], step: int):
    compressor = create_compressor(compression)
    packed = b"".join([*(compressor.compress(chunk) for chunk in chunks), compressor.flush()])
    decompressor = create_decompressor(compression)
    parts = [
        decompressor.decompress(packed[start : start + step])
        for start in range(0, len(packed), step)
    ]
    assert b"".join(parts) == b"".join(chunks)
    assert decompressor.eof
    assert decompressor.flush() == b""


@every_compression
def test_data_may_be_split_at_every_place(compression: Compression):
    packed = compressed(compression, TEXT) * 2
    for place in range(len(packed) + 1):
        decompressor = create_decompressor(compression)
        parts = [decompressor.decompress(packed[:place]), decompressor.decompress(packed[place:])]
        assert b"".join(parts) == TEXT * 2
        decompressor.flush()


@every_compression
def test_data_cut_at_any_place_is_an_error(compression: Compression):
    packed = compressed(compression, TEXT)
    for length in range(1, len(packed)):
        decompressor = create_decompressor(compression)
        decompressor.decompress(packed[:length])
        assert not decompressor.eof
        with pytest.raises(DecompressionError, match=f"{compression} data ends too early"):
            decompressor.flush()


@every_compression
def test_second_member_that_is_cut_is_an_error(compression: Compression):
    packed = compressed(compression, TEXT)
    decompressor = create_decompressor(compression)
    decompressor.decompress(packed + packed[:-1])
    with pytest.raises(DecompressionError, match="too early"):
        decompressor.flush()


@every_compression
def test_bad_data_is_an_error(compression: Compression):
    with pytest.raises(DecompressionError, match=f"bad {compression} data"):
        create_decompressor(compression).decompress(b"certainly not compressed data" * 10)


@every_compression
def test_zeros_alone_are_no_data(compression: Compression):
    with pytest.raises(DecompressionError):
        decompress_whole(compression, bytes(1000))


@every_compression
def test_damaged_data_is_an_error(compression: Compression):
    packed = bytearray(compressed(compression, bytes(range(256)) * 8))
    packed[len(packed) // 2] ^= 0xFF
    try:
        result = decompress_whole(compression, bytes(packed))
    except DecompressionError:
        return
    # Zstandard frames have no checksum unless asked for one.
    assert compression is Compression.ZSTD
    assert len(result) == 2048


@every_compression
def test_garbage_after_the_data_is_an_error(compression: Compression):
    decompressor = create_decompressor(compression)
    with pytest.raises(DecompressionError):
        decompressor.decompress(compressed(compression, TEXT) + b"garbage garbage garbage")


@every_compression
def test_no_data_at_all_is_complete(compression: Compression):
    decompressor = create_decompressor(compression)
    assert list(decompressor.pieces(b"")) == []
    decompressor.flush()


@every_compression
def test_data_that_expands_far_comes_in_bounded_pieces(compression: Compression):
    size = 20 * PIECE_SIZE + 1
    packed = compressed(compression, bytes(size))
    decompressor = create_decompressor(compression)
    sizes = [len(piece) for piece in decompressor.pieces(packed)]
    assert sum(sizes) == size
    assert max(sizes) <= PIECE_SIZE
    assert min(sizes) > 0
    decompressor.flush()


@pytest.mark.parametrize(
    ("compression", "compress"),
    [
        (Compression.GZIP, gzip.compress),
        (Compression.GZIP, zlib.compress),
        (Compression.XZ, lzma.compress),
        (Compression.BZ2, bz2.compress),
    ],
)
def test_data_of_others_is_decompressed(
    compression: Compression, compress: Callable[[bytes], bytes]
):
    assert create_decompressor(compression).decompress(compress(TEXT)) == TEXT


@pytest.mark.parametrize(
    ("program", "compression"),
    [("gzip", Compression.GZIP), ("xz", Compression.XZ), ("bzip2", Compression.BZ2)],
)
def test_programs_take_our_data(program: str, compression: Compression):
    run = subprocess.run(
        [program, "-dc"], input=compressed(compression, TEXT), capture_output=True, check=True
    )
    assert run.stdout == TEXT


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.XZ])
def test_zero_padding_is_allowed_after_and_between_members(compression: Compression):
    packed = compressed(compression, TEXT) + bytes(512)
    decompressor = create_decompressor(compression)
    assert decompressor.decompress(packed + packed) == TEXT * 2
    decompressor.flush()


@every_compression
def test_signature_tells_the_compression(compression: Compression):
    packed = compressed(compression, TEXT)
    assert detect_compression_from_signature(packed[:SIGNATURE_BUFFER_SIZE]) is compression


@pytest.mark.parametrize("data", [b"", b"\x1f", b"BZ", b"plain text"])
def test_other_data_has_no_signature(data: bytes):
    assert detect_compression_from_signature(data) is None


def test_buffer_holds_every_signature():
    longest = max(len(known.signature) for known in COMPRESSION_SIGNATURES)
    assert longest <= SIGNATURE_BUFFER_SIZE
