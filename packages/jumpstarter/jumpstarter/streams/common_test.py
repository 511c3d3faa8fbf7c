"""The public path of the stream layer."""

from jumpstarter.streams import common, forwarding, memory


def test_public_names_are_the_real_ones():
    assert common.forward_stream is forwarding.forward_stream
    assert common.copy_stream is forwarding.copy_stream
    assert common.create_memory_stream is memory.create_memory_stream
