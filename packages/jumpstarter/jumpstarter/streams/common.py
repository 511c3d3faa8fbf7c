"""Public names of the stream layer at the path where driver packages expect them."""

from .forwarding import copy_stream, forward_stream
from .memory import create_memory_stream

__all__ = ["copy_stream", "create_memory_stream", "forward_stream"]
