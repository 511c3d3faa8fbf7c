"""Public path of `RouterStream`, which lives in `jumpstarter.rpc.router_stream`, a layer above.

So it is fetched when it is asked for, and not imported; `router.pyi` tells type checkers.
"""

from importlib import import_module


def __getattr__(name: str) -> object:
    """Fetch `RouterStream`; AttributeError for anything else."""
    if name != "RouterStream":
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module("jumpstarter.rpc.router_stream"), name)
