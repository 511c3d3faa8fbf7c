"""Test the software of a device with pytest, on the device.

`JumpstarterTest` and `eventually` are for tests of a device, `serve_lab` and `Board` for tests of
drivers in a whole lab. Each is loaded when it is first asked for, since pytest loads this package
for everybody who has it; `__init__.pyi` tells type checkers the same names.
"""

from importlib import import_module

_HOMES = {
    "JumpstarterTest": "jumpstarter_testing.pytest",
    "eventually": "jumpstarter_testing.waiting",
    "Board": "jumpstarter_testing.lab",
    "ServedLab": "jumpstarter_testing.lab",
    "serve_lab": "jumpstarter_testing.lab",
    "serve_lab_async": "jumpstarter_testing.lab",
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
