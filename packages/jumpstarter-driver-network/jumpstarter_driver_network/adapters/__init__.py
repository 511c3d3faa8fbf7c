"""Local doors to a device's streams. Naming one adapter imports that one and no other.

The library of an adapter may be missing: its name can be imported all the same, and calling it
raises MissingExtraError, so that a package that offers several adapters needs only those it uses.
"""

from collections.abc import Callable
from importlib import import_module
from typing import NoReturn

from jumpstarter_driver_network.extras import MissingExtraError

_HOMES = {
    "TcpPortforwardAdapter": "portforward",
    "UnixPortforwardAdapter": "portforward",
    "UdpPortforwardAdapter": "portforward",
    "FabricAdapter": "fabric",
    "NovncAdapter": "novnc",
    "PexpectAdapter": "pexpect",
    "DbusAdapter": "dbus",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    try:
        value: object = getattr(import_module(f"{__name__}.{home}"), name)
    except MissingExtraError as error:
        return _unusable(name, error)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


def _unusable(name: str, error: MissingExtraError) -> Callable[..., NoReturn]:
    def refuse(**_parameters: object) -> NoReturn:
        message = f"{name}: {error}"
        raise MissingExtraError(message, name=error.name) from error

    return refuse
