"""What the health service answers: which services are here, and whether they are served now."""

from typing import Final

from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import Int32Value, StringValue
from jumpstarter.rpc import health
from jumpstarter.rpc.stub import STREAM_SERVICE

CHECK: Final = f"/{health.SERVICE}/Check"
WATCH: Final = f"/{health.SERVICE}/Watch"
UNKNOWN: Final = Int32Value(value=health.SERVICE_UNKNOWN).SerializeToString()


def is_known(request: bytes) -> bool:
    """Return whether a HealthCheckRequest asks for all that is here, or for what is here."""
    try:
        return StringValue.FromString(request).value in ("", STREAM_SERVICE)
    except DecodeError:
        return False


def response(*, serving: bool) -> bytes:
    """Return a HealthCheckResponse."""
    value = health.SERVING if serving else health.NOT_SERVING
    return Int32Value(value=value).SerializeToString()
