"""Compressing streams and the iterator that finds out by itself."""

import gzip
import sys
from collections.abc import AsyncIterator, Iterable
from subprocess import run

import anyio
import pytest
from anyio.abc import ObjectStream

from jumpstarter.streams.compressors import create_compressor, create_decompressor
from jumpstarter.streams.encoding import (
    AutoDecompressIterator,
    CompressedStream,
    Compression,
    DecompressionError,
    compress_stream,
)
from jumpstarter.streams.memory import MemoryStream, create_memory_stream

every_compression = pytest.mark.parametrize("compression", list(Compression))
CHUNKS = [b"", b"a", bytes(range(256)) * 500, b"", b"the end"]
WHOLE = b"".join(CHUNKS)


def compressed(compression: Compression, data: bytes) -> bytes:
    compressor = create_compressor(compression)
    return compressor.compress(data) + compressor.flush()


def wrap(stream: MemoryStream, compression: Compression) -> CompressedStream:
    return CompressedStream(
        stream=stream,
        compressor=create_compressor(compression),
        decompressor=create_decompressor(compression),
    )


async def test_no_compression_is_the_stream_itself():
    near, _ = create_memory_stream()
    assert compress_stream(near, None) is near


@every_compression
async def test_two_ends_understand_each_other(compression: Compression):
    near, far = create_memory_stream()
    async with compress_stream(near, compression) as a, compress_stream(far, compression) as b:
        for stream in (a, b):
            for chunk in CHUNKS:
                await stream.send(chunk)
            await stream.send_eof()
        for stream in (a, b):
            received = [chunk async for chunk in stream]
            assert b"".join(received) == WHOLE
            assert b"" not in received


@every_compression
async def test_sent_data_is_complete_after_close(compression: Compression):
    near, far = create_memory_stream()
    async with compress_stream(near, compression) as stream:
        await stream.send(b"hello")
    raw = [chunk async for chunk in far]
    assert b"" not in raw
    decompressor = create_decompressor(compression)
    assert decompressor.decompress(b"".join(raw)) == b"hello"
    decompressor.flush()


async def test_stream_that_only_receives_sends_nothing_when_closed():
    near, far = create_memory_stream()
    await far.send_eof()
    async with compress_stream(near, Compression.GZIP) as stream:
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
    assert [chunk async for chunk in far] == []


async def test_end_of_nothing_is_valid_empty_data():
    near, far = create_memory_stream()
    stream = compress_stream(near, Compression.GZIP)
    await stream.send_eof()
    await stream.send_eof()
    assert gzip.decompress(b"".join([chunk async for chunk in far])) == b""
    with pytest.raises(anyio.ClosedResourceError):
        await stream.send(b"x")


async def test_exception_leaves_the_data_without_an_end():
    near, far = create_memory_stream()
    with pytest.raises(KeyError):
        await send_half(compress_stream(near, Compression.GZIP))
    with pytest.raises(DecompressionError):
        await drain(compress_stream(far, Compression.GZIP))


async def send_half(stream: ObjectStream[bytes]) -> None:
    async with stream:
        await stream.send(b"half of it")
        raise KeyError


async def test_cancellation_leaves_the_data_without_an_end():
    near, far = create_memory_stream()
    with anyio.CancelScope() as scope:
        stream = compress_stream(near, Compression.GZIP)
        await stream.send(bytes(1 << 20))
        scope.cancel()
        await stream.aclose()
    with pytest.raises(DecompressionError):
        await drain(compress_stream(far, Compression.GZIP))


async def test_reset_goes_through():
    near, far = create_memory_stream()
    stream = wrap(near, Compression.XZ)
    await stream.send(b"x")
    await stream.reset()
    with pytest.raises(anyio.BrokenResourceError):
        await drain(wrap(far, Compression.XZ))


async def test_close_after_the_peer_left_is_quiet():
    near, far = create_memory_stream()
    stream = compress_stream(near, Compression.GZIP)
    await stream.send(b"x")
    await far.aclose()
    await stream.aclose()


@every_compression
async def test_cut_data_is_an_error_and_no_end_of_file(compression: Compression):
    near, far = create_memory_stream()
    await near.send(compressed(compression, WHOLE)[:-3])
    await near.send_eof()
    with pytest.raises(DecompressionError, match="ends too early"):
        await drain(compress_stream(far, compression))


@every_compression
async def test_bad_data_is_an_error(compression: Compression):
    near, far = create_memory_stream()
    await near.send(b"this was never compressed" * 1000)
    with pytest.raises(DecompressionError, match=f"bad {compression} data"):
        await drain(compress_stream(far, compression))


@every_compression
async def test_concatenated_members_are_one_stream(compression: Compression):
    near, far = create_memory_stream()
    await near.send(compressed(compression, b"one") + compressed(compression, b"two"))
    await near.send(compressed(compression, WHOLE))
    await near.send_eof()
    assert await drain(compress_stream(far, compression)) == b"onetwo" + WHOLE


async def drain(source: AsyncIterator[bytes]) -> bytes:
    chunks = [chunk async for chunk in source]
    assert b"" not in chunks
    return b"".join(chunks)


async def iterate(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@every_compression
@pytest.mark.parametrize("size", [1, 3, 8, 1000, 1 << 20])
async def test_iterator_decompresses_what_it_recognizes(compression: Compression, size: int):
    packed = compressed(compression, WHOLE[:5000])
    chunks = [packed[start : start + size] for start in range(0, len(packed), size)]
    assert await drain(AutoDecompressIterator(source=iterate(chunks))) == WHOLE[:5000]


@pytest.mark.parametrize(
    "chunks",
    [[], [b""], [b"a"], [b"", b"ab", b""], [b"short"], [b"\x1f\x8b"], [b"plain ", b"data", WHOLE]],
)
async def test_iterator_passes_other_data_on(chunks: list[bytes]):
    assert await drain(AutoDecompressIterator(source=iterate(chunks))) == b"".join(chunks)


@every_compression
async def test_iterator_refuses_cut_data(compression: Compression):
    packed = compressed(compression, WHOLE)
    with pytest.raises(RuntimeError, match="ends too early"):
        await drain(AutoDecompressIterator(source=iterate([packed[:20], packed[20:-1]])))


@every_compression
async def test_iterator_refuses_bad_data(compression: Compression):
    packed = compressed(compression, WHOLE)[:8] + b"garbage" * 100
    with pytest.raises(RuntimeError):
        await drain(AutoDecompressIterator(source=iterate([packed])))


async def test_iterator_stays_at_its_end():
    iterator = AutoDecompressIterator(source=iterate([gzip.compress(b"x")]))
    assert await drain(iterator) == b"x"
    with pytest.raises(StopAsyncIteration):
        await anext(iterator)


def test_import_loads_no_zstandard_and_no_rich():
    code = (
        "import sys, jumpstarter.streams.encoding, jumpstarter.streams.progress\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert "anyio" in loaded
    assert "'rich'" not in loaded
    assert "'backports'" not in loaded
