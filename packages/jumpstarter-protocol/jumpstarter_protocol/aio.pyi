from jumpstarter_protocol.jumpstarter.admin.v1.admin_pb2_grpc import (
    AdminServiceAsyncStub as AdminServiceAsyncStub,
)
from jumpstarter_protocol.jumpstarter.admin.v1.admin_pb2_grpc import (
    RouterRegistryServiceAsyncStub as RouterRegistryServiceAsyncStub,
)
from jumpstarter_protocol.jumpstarter.client.v1.client_pb2_grpc import (
    ClientServiceAsyncStub as ClientServiceAsyncStub,
)
from jumpstarter_protocol.jumpstarter.v1.jumpstarter_pb2_grpc import (
    ControllerServiceAsyncStub as ControllerServiceAsyncStub,
)
from jumpstarter_protocol.jumpstarter.v1.jumpstarter_pb2_grpc import (
    ExporterServiceAsyncStub as ExporterServiceAsyncStub,
)
from jumpstarter_protocol.jumpstarter.v1.router_pb2_grpc import (
    RouterServiceAsyncStub as RouterServiceAsyncStub,
)
from jumpstarter_protocol.jumpstarter.v1.telemetry_pb2_grpc import (
    TelemetryServiceAsyncStub as TelemetryServiceAsyncStub,
)
