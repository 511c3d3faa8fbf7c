"""Bound sockets for listeners: when a function here returns, the address is taken.

Errors are OSErrors that name the address that could not be had.
"""

import errno
import os
import socket
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import anyio

from .sockets import check_port, format_endpoint

EPHEMERAL_ATTEMPTS = 16
"""How often a free port is sought that is free in every address family of a name."""

_MISSING_FAMILY = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


async def bind_ports(
    local_host: str | None,
    local_port: int,
    *,
    family: int = socket.AF_UNSPEC,
    kind: socket.SocketKind = socket.SOCK_STREAM,
    reuse_port: bool = False,
) -> list[socket.socket]:
    """Bind one socket per address of `local_host`, IPv4 first, all on the same port.

    None means every interface, 0 a free port. An address family that this machine lacks is left
    out unless it is the only one. Raises a subclass of OSError naming the address.
    """
    target = format_endpoint(_scheme(kind), local_host or "*", local_port)
    try:
        check_port(local_port)
        infos = await anyio.getaddrinfo(
            local_host, local_port, family=family, type=kind, flags=socket.AI_PASSIVE
        )
        addresses = sorted(
            {(info[0], info[4]) for info in infos}, key=lambda item: item[0] != socket.AF_INET
        )
        return _bind_together(addresses, local_port, kind, reuse_port=reuse_port)
    except socket.gaierror as error:
        raise socket.gaierror(
            error.errno, f"cannot listen on {target}: {error.strerror}"
        ) from error
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {target}: {error.strerror}") from error


def bind_unix(path: Path) -> socket.socket:
    """Bind a Unix stream socket at `path`, replacing one that nobody listens on any more.

    Raises a subclass of OSError naming the path.
    """
    try:
        _remove_abandoned(path)
        with ExitStack() as on_failure:
            sock = on_failure.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            sock.settimeout(0)
            sock.bind(os.fspath(path))
            on_failure.pop_all()
    except OSError as error:
        text = f"cannot listen on unix:{path}: {error.strerror or error}"
        raise OSError(error.errno, text) from error
    return sock


def _bind_together(
    addresses: Sequence[tuple[int, tuple[str, int]]],
    local_port: int,
    kind: socket.SocketKind,
    *,
    reuse_port: bool,
) -> list[socket.socket]:
    # The kernel picks a free port for one family only; another process may hold the same number
    # in the other, so several are tried when the caller did not ask for a certain one.
    attempts = EPHEMERAL_ATTEMPTS if local_port == 0 else 1
    while True:
        attempts -= 1
        try:
            return _bind_each(addresses, kind, reuse_port=reuse_port)
        except OSError as error:
            if attempts == 0 or error.errno != errno.EADDRINUSE:
                raise


def _bind_each(
    addresses: Sequence[tuple[int, tuple[str, int]]],
    kind: socket.SocketKind,
    *,
    reuse_port: bool,
) -> list[socket.socket]:
    bound: list[socket.socket] = []
    missing: OSError | None = None
    with ExitStack() as on_failure:
        for family, (host, port, *rest) in addresses:
            # The first socket's port, when the kernel has picked one, is the others' too.
            at = (host, bound[0].getsockname()[1] if bound else port, *rest)
            try:
                sock = on_failure.enter_context(socket.socket(family, kind))
                _configure(sock, reuse_port=reuse_port)
                sock.bind(at)
            except OSError as error:
                if error.errno not in _MISSING_FAMILY:
                    raise
                missing = error
            else:
                bound.append(sock)
        if not bound:
            raise missing or OSError(errno.EADDRNOTAVAIL, "the name has no address")
        on_failure.pop_all()
    return bound


def _configure(sock: socket.socket, *, reuse_port: bool) -> None:
    sock.settimeout(0)
    if sock.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def _scheme(kind: socket.SocketKind) -> str:
    return "udp" if kind == socket.SOCK_DGRAM else "tcp"


def _remove_abandoned(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise FileExistsError(errno.EEXIST, "the path exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        if probe.connect_ex(os.fspath(path)) == errno.ECONNREFUSED:
            path.unlink()
