"""Connections over vsock, the socket family between a host and its virtual machines."""

import socket

from jumpstarter.streams.sockets import SocketStream, connect_socket


async def connect_vsock(cid: int, port: int) -> SocketStream:
    """Connect to `port` of the machine `cid`. Raises OSError, naming both, when that fails."""
    try:
        sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        return SocketStream(await connect_socket(sock, (cid, port), f"vsock://{cid}:{port}"))
    except OSError as error:
        raise OSError(error.errno, f"vsock connect() failed: {error.strerror}") from error
