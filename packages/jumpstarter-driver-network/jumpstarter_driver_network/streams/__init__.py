"""WebSockets as byte streams. Naming one imports its library, which may need an extra."""

from importlib import import_module

_HOMES = {
    "WebsocketServerStream": "websocket_server",
    "WebsocketClientStream": "websocket",
    "connect_websocket": "websocket",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
