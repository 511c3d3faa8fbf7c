"""Many datagrams with one call of the system: a window costs hardly more than a block.

Linux cuts what it is given into datagrams of one size (UDP_SEGMENT, udp(7)). Where the kernel, the
device or the path's MTU refuses that, each datagram is sent for itself from then on.
"""

import errno
import socket
import struct
import sys
from collections import deque

_UDP_SEGMENT = 103
_SIZE = struct.Struct("@H")
_MAX_SEGMENTS = 64
_MAX_BYTES = 65_000
"""What fits into one datagram of either version of IP, which a burst counts as until it is cut."""

_INTERNET = {socket.AF_INET, socket.AF_INET6}
_REFUSED = {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP}


class Burst:
    """Sends over a connected UDP socket that never blocks."""

    def __init__(self, sock: socket.SocketType) -> None:
        """Use `sock`, which stays its owner's."""
        self._socket = sock
        self._cuts = sys.platform == "linux" and sock.family in _INTERNET

    def send(self, datagrams: deque[bytes]) -> None:
        """Send all from the left, and take away what was sent.

        Raises:
            BlockingIOError: there is no room for the rest now.
            OSError: the first of the rest cannot be sent.
        """
        while datagrams:
            count = run_length(datagrams) if self._cuts else 1
            if count == 1:
                self._socket.send(datagrams[0])
            elif not self._send_cut(datagrams, count):
                continue
            for _ in range(count):
                datagrams.popleft()

    def _send_cut(self, datagrams: deque[bytes], count: int) -> bool:
        """Send the first `count` with one call, and tell whether the system does such a thing."""
        size = _SIZE.pack(len(datagrams[0]))
        parts = [datagrams[index] for index in range(count)]
        try:
            self._socket.sendmsg(parts, [(socket.IPPROTO_UDP, _UDP_SEGMENT, size)])
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            self._cuts = False
            return False
        return True


def run_length(datagrams: deque[bytes]) -> int:
    """Return how many from the left can be one burst: all of one size, but a shorter last one."""
    size = len(datagrams[0])
    most = min(_MAX_SEGMENTS, _MAX_BYTES // max(size, 1), len(datagrams))
    count = 0
    for datagram in datagrams:
        if count == most or len(datagram) > size:
            break
        count += 1
        if len(datagram) < size:
            break
    return max(count, 1)  # one that is too large for a burst goes alone
