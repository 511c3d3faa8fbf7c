"""The blocking face, used from a thread as its users do."""

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from jumpstarter.streams.blocking import BlockingStream
from jumpstarter.streams.memory import create_memory_stream


def test_bytes_and_ends_pass_through_the_portal():
    with start_blocking_portal() as portal:
        near, far = (
            BlockingStream(stream=end, portal=portal) for end in portal.call(create_memory_stream)
        )
        near.send(b"question")
        assert far.receive() == b"question"
        near.send_eof()
        with pytest.raises(anyio.EndOfStream):
            far.receive()
        far.send(b"answer")
        assert near.receive() == b"answer"
