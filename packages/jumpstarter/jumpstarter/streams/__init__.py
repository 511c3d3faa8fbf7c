"""Byte streams and what is done with them: listen, connect, forward, compress, show, broadcast."""
