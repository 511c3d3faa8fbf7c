"""Generated protobuf and gRPC code of the Jumpstarter protocol.

A module is imported when its name is first used: the gRPC modules bring in all of grpcio, and
`client_pb2` the Google API descriptors, which a program that only calls a local exporter never
needs. `__init__.pyi` lists the same names for type checkers.
"""

from importlib import import_module
from types import ModuleType

_PACKAGES = {
    "admin_pb2": "admin.v1",
    "admin_pb2_grpc": "admin.v1",
    "client_pb2": "client.v1",
    "client_pb2_grpc": "client.v1",
    "jumpstarter_pb2": "v1",
    "jumpstarter_pb2_grpc": "v1",
    "kubernetes_pb2": "v1",
    "kubernetes_pb2_grpc": "v1",
    "router_pb2": "v1",
    "router_pb2_grpc": "v1",
    "telemetry_pb2": "v1",
    "telemetry_pb2_grpc": "v1",
}


def __getattr__(name: str) -> ModuleType:
    """Import the module that is re-exported as `name`."""
    if name not in _PACKAGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.jumpstarter.{_PACKAGES[name]}.{name}")
    globals()[name] = module
    return module


def __dir__() -> list[str]:
    """List the re-exported modules too, imported or not."""
    return sorted({*globals(), *_PACKAGES})
