"""Driver clients: what tests and authors of drivers import.

`DriverClient` is at hand. Connecting, leasing and flashing need more modules, which are loaded when
they are first asked for; `__init__.pyi` tells type checkers the same names.
"""

from importlib import import_module

from .base import DriverClient as DriverClient

_HOMES = {
    "client_from_path": "jumpstarter.client.client",
    "Lease": "jumpstarter.client.lease",
    "DirectLease": "jumpstarter.client.direct",
    "FlasherClient": "jumpstarter.client.flasher",
    "FlasherClientInterface": "jumpstarter.client.flasher",
}


def __getattr__(name: str) -> object:
    """Fetch `name` from its home and keep it."""
    home = _HOMES.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the names that can be had, fetched or not."""
    return sorted({*globals(), *_HOMES})
