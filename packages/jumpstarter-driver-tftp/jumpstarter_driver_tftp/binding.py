"""Says in words why a server could not take its port, and what to do about it. Pure."""

import errno
import socket

_REASONS = {
    errno.EADDRINUSE: (
        "the port is in use, perhaps by another TFTP server (`ss -lunp sport = :{port}` names it); "
        "stop that one, or set another 'port'"
    ),
    errno.EADDRNOTAVAIL: (
        "no network interface of this machine has this address; correct 'host', or leave it empty "
        "to have the address found"
    ),
    errno.EACCES: (
        "not permitted; a port below 1024 needs the capability CAP_NET_BIND_SERVICE (systemd: "
        "AmbientCapabilities=CAP_NET_BIND_SERVICE) or a lower sysctl "
        "net.ipv4.ip_unprivileged_port_start, or set 'port' to 1024 or more"
    ),
}


def explain(error: OSError, host: str, port: int) -> str:
    """Return one line for an error that binding `host` and `port` raised."""
    if isinstance(error, socket.gaierror):
        reason = f"the host is not known ({error.strerror}); correct 'host'"
    else:
        known = _REASONS.get(error.errno or 0)
        reason = known.format(port=port) if known else error.strerror or str(error)
    shown = f"[{host}]" if ":" in host else host
    return f"TFTP cannot listen on udp://{shown}:{port}: {reason}"
