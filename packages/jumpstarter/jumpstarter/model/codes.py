"""The one table between exceptions and gRPC status codes, read in both directions.

A driver raises an exception; the exporter sends a status; the client raises an error again. Both
sides read this module, so the two ends cannot drift apart.
"""

from dataclasses import dataclass
from enum import Enum

from jumpstarter.model.errors import (
    DriverError,
    DriverInvalidArgument,
    DriverMethodNotImplemented,
    ExporterNotReady,
    MethodNotFoundError,
    ValueEncodingError,
)
from jumpstarter.model.text import fit


class Code(Enum):
    """Names of the gRPC status codes in use; `grpc.StatusCode` has the same names."""

    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    NOT_FOUND = "NOT_FOUND"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"
    UNAVAILABLE = "UNAVAILABLE"
    UNAUTHENTICATED = "UNAUTHENTICATED"


MAX_DETAILS = 2400
"""Bytes of details: gRPC carries 8 KiB of status, in which a byte may take three."""


class ResultEncodingError(Exception):
    """What a driver returned cannot be carried: the driver's fault, not the caller's argument."""


@dataclass(frozen=True, slots=True)
class Status:
    """What ends a failed call: the code and one line of details."""

    code: Code
    details: str


# The first row that matches decides: TimeoutError and ConnectionError are OSErrors too.
_CODES: tuple[tuple[type[BaseException], Code], ...] = (
    (ExporterNotReady, Code.FAILED_PRECONDITION),
    (MethodNotFoundError, Code.NOT_FOUND),
    (NotImplementedError, Code.UNIMPLEMENTED),
    (ResultEncodingError, Code.INTERNAL),
    (ValueError, Code.INVALID_ARGUMENT),
    (TimeoutError, Code.DEADLINE_EXCEEDED),
    (ConnectionError, Code.UNAVAILABLE),
    (OSError, Code.INTERNAL),
)

_ERRORS: dict[Code, type[DriverError]] = {
    Code.UNIMPLEMENTED: DriverMethodNotImplemented,
    Code.INVALID_ARGUMENT: DriverInvalidArgument,
    Code.FAILED_PRECONDITION: ExporterNotReady,
}


def exception_to_status(error: BaseException) -> Status:
    """Return the status that tells the caller of a driver about `error`."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return Status(code, _details(error))
    return Status(Code.UNKNOWN, _details(error))


def status_to_error(code_name: str, message: str, *, unary: bool) -> DriverError:
    """Return the error that a client raises for the status named `code_name`.

    A missing method ends a unary call as DriverMethodNotImplemented, and a streaming one as a plain
    DriverError, as in release 0.9.0. Codes without a row are DriverError.
    """
    if unary and code_name == Code.NOT_FOUND.name:
        return DriverMethodNotImplemented(message)
    try:
        kind = _ERRORS.get(Code[code_name], DriverError)
    except KeyError:
        kind = DriverError
    return kind(message)


def carried_details(text: str) -> str:
    """Return `text` as a status can carry it.

    gRPC never delivers a status that has no UTF-8 form, and replaces one that is too long.
    """
    return fit(text, MAX_DETAILS)


def _details(error: BaseException) -> str:
    """Return the error's own text; one that has none, or is no Exception, is named."""
    name, text = type(error).__name__, str(error)
    if not isinstance(error, Exception):
        text = f"{name}: {text}" if text else name
    return carried_details(text or name)


__all__ = [
    "Code",
    "MAX_DETAILS",
    "ResultEncodingError",
    "Status",
    "ValueEncodingError",
    "carried_details",
    "exception_to_status",
    "status_to_error",
]
