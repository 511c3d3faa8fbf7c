"""The import paths that packages of others use; no code lives below this package.

A name is fetched from its home when it is first asked for, so that importing one of them does not
load all the others. `__init__.pyi` tells type checkers the same names.
"""

from importlib import import_module

from jumpstarter.common import exceptions as exceptions

_HOMES = {
    "ExporterStatus": "jumpstarter.model.status",
    "LogSource": "jumpstarter.model.status",
    "HOOK_WARNING_PREFIX": "jumpstarter.model.status",
    "Metadata": "jumpstarter.model.metadata",
    "TemporarySocket": "jumpstarter.streams.listeners",
    "TemporaryTcpListener": "jumpstarter.streams.listeners",
    "TemporaryUnixListener": "jumpstarter.streams.listeners",
    "AsyncChannel": "jumpstarter.rpc.stub_types",
    "ControllerStub": "jumpstarter.rpc.stub_types",
    "ExporterStub": "jumpstarter.rpc.stub_types",
    "RouterStub": "jumpstarter.rpc.stub_types",
    "download_fls": "jumpstarter.driver.fls",
    "get_fls_binary": "jumpstarter.driver.fls",
    "get_fls_github_url": "jumpstarter.driver.fls",
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
