"""Types of channels and of the generated stubs, for annotations.

Apart from the stubs in use: these name every service, and what comes with them takes time to load.
"""

from typing import TypeAlias

from grpc.aio import Channel
from jumpstarter_protocol.aio import (
    ControllerServiceAsyncStub,
    ExporterServiceAsyncStub,
    RouterServiceAsyncStub,
)

AsyncChannel: TypeAlias = Channel
ControllerStub: TypeAlias = ControllerServiceAsyncStub
ExporterStub: TypeAlias = ExporterServiceAsyncStub
RouterStub: TypeAlias = RouterServiceAsyncStub
