"""Statuses of an exporter as errors of a client: the boundary where gRPC's own errors end."""

from typing import Final, Protocol, cast

import grpc

from jumpstarter.model.codes import status_to_error
from jumpstarter.model.errors import DriverError

# The details of these are the whole story: the driver, or the exporter, wrote them.
_TOLD: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)


class FailedCall(Protocol):
    """The errors of gRPC's blocking and asynchronous APIs."""

    def code(self) -> grpc.StatusCode:
        """Return the status."""
        ...

    def details(self) -> str | None:
        """Return the text that the server, or gRPC, gave with it."""
        ...


def call_error(error: FailedCall, method: str) -> DriverError:
    """Return the error of the unary call of `method`; raise it `from cause(error)`."""
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return status_to_error(code.name, details, unary=True)
    message = f"DriverCall '{method}' failed with gRPC {code.name}: {details}"
    return status_to_error(code.name, message, unary=True)


def stream_error(error: FailedCall) -> DriverError:
    """Return the error of a streaming call or a byte stream: the exporter's own words."""
    code = error.code()
    return status_to_error(code.name, error.details() or code.name, unary=False)


def cause(error: FailedCall) -> BaseException | None:
    """Return `error` where its status adds to the message, else None."""
    return None if error.code() in _TOLD else cast("BaseException", error)
