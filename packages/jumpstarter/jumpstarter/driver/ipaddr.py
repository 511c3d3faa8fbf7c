"""Addresses under which this machine, or a virtual one on it, can be reached by devices."""

import ipaddress
import logging
import socket

import anyio

__all__ = ["get_ip_address", "get_minikube_ip"]

_log = logging.getLogger(__name__)

# An address of the internet that nobody answers at (RFC 7535); connecting a UDP socket to it sends
# nothing, but makes the kernel choose the local address of the way out.
_FAR_AWAY = ("192.175.48.1", 53)

_UNKNOWN = "0.0.0.0"  # noqa: S104 - the answer when no address is known; nothing is bound here


def get_ip_address(logger: logging.Logger | None = None) -> str:
    """Return this machine's IPv4 address as devices on its network see it.

    That is what its host name stands for, or, where that is a loopback address, the local address
    of the route to the internet. Without either it is `0.0.0.0`, with a warning on `logger`.
    """
    return _address_of_name() or _address_of_route() or _no_address(logger or _log)


def _address_of_name() -> str | None:
    try:
        address = socket.gethostbyname(socket.gethostname())
    except OSError:
        return None
    return None if ipaddress.ip_address(address).is_loopback else address


def _address_of_route() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_FAR_AWAY)
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _no_address(logger: logging.Logger) -> str:
    logger.warning(
        "this machine's address is not known: using %s; set the address in the driver's "
        "configuration",
        _UNKNOWN,
    )
    return _UNKNOWN


async def get_minikube_ip(profile: str | None = None, minikube: str = "minikube") -> str:
    """Return the address of the minikube machine `profile`, as the program `minikube` tells it.

    Raises RuntimeError with the program's own words when it fails, FileNotFoundError when it is not
    installed.
    """
    command = [minikube, "ip", *(["--profile", profile] if profile else [])]
    finished = await anyio.run_process(command, check=False)
    if finished.returncode != 0:
        words = finished.stderr.decode(errors="replace").strip()
        message = f"`{' '.join(command)}` failed with exit code {finished.returncode}: {words}"
        raise RuntimeError(message)
    return finished.stdout.decode().strip()
