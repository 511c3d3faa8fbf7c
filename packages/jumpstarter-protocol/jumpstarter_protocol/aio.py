"""The stubs under the names that their types have on a `grpc.aio.Channel`.

One class serves both kinds of channels, but a call on a `grpc.aio` one is awaited. The types say so
with a class of their own, which the generated code has for type checkers only; here it can be
imported, for annotations that are evaluated. `aio.pyi` lists the same names.
"""

from jumpstarter_protocol.jumpstarter.admin.v1.admin_pb2_grpc import (
    AdminServiceStub as AdminServiceAsyncStub,
)
from jumpstarter_protocol.jumpstarter.admin.v1.admin_pb2_grpc import (
    RouterRegistryServiceStub as RouterRegistryServiceAsyncStub,
)
from jumpstarter_protocol.jumpstarter.client.v1.client_pb2_grpc import (
    ClientServiceStub as ClientServiceAsyncStub,
)
from jumpstarter_protocol.jumpstarter.v1.jumpstarter_pb2_grpc import (
    ControllerServiceStub as ControllerServiceAsyncStub,
)
from jumpstarter_protocol.jumpstarter.v1.jumpstarter_pb2_grpc import (
    ExporterServiceStub as ExporterServiceAsyncStub,
)
from jumpstarter_protocol.jumpstarter.v1.router_pb2_grpc import (
    RouterServiceStub as RouterServiceAsyncStub,
)
from jumpstarter_protocol.jumpstarter.v1.telemetry_pb2_grpc import (
    TelemetryServiceStub as TelemetryServiceAsyncStub,
)

__all__ = [
    "AdminServiceAsyncStub",
    "ClientServiceAsyncStub",
    "ControllerServiceAsyncStub",
    "ExporterServiceAsyncStub",
    "RouterRegistryServiceAsyncStub",
    "RouterServiceAsyncStub",
    "TelemetryServiceAsyncStub",
]
