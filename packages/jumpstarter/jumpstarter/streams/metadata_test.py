"""A stream with metadata is its stream in everything else."""

import anyio
import anyio.abc
import pytest

from jumpstarter.streams.listeners import TemporaryTcpListener
from jumpstarter.streams.memory import create_memory_stream
from jumpstarter.streams.metadata import MetadataStream, MetadataStreamAttributes
from jumpstarter.streams.sockets import SocketStream, connect_tcp


async def test_bytes_and_ends_pass_through():
    near, far = create_memory_stream()
    async with MetadataStream(stream=near, metadata={"a": "b"}) as stream:
        await stream.send(b"out")
        assert await far.receive() == b"out"
        await far.send(b"in")
        assert await stream.receive() == b"in"
        await stream.send_eof()
        with pytest.raises(anyio.EndOfStream):
            await far.receive()
    with pytest.raises(anyio.BrokenResourceError):
        await far.send(b"x")


async def test_reset_passes_through():
    near, far = create_memory_stream()
    await MetadataStream(stream=near, metadata={}).reset()
    with pytest.raises(anyio.BrokenResourceError):
        await far.receive()


async def test_metadata_is_an_attribute_beside_those_of_the_stream():
    async def nothing(stream: SocketStream) -> None:
        await stream.receive()

    async with TemporaryTcpListener(nothing) as address:
        inner = await connect_tcp(*address)
        async with MetadataStream(stream=inner, metadata={"key": "value"}) as stream:
            assert stream.extra(MetadataStreamAttributes.metadata) == {"key": "value"}
            assert stream.extra(anyio.abc.SocketAttribute.remote_address) == address
