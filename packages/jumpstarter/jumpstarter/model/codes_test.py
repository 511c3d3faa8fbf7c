"""The table of exceptions and status codes, in both directions."""

from urllib.parse import quote

import grpc
import pytest

from jumpstarter.model import errors
from jumpstarter.model.codes import (
    Code,
    ResultEncodingError,
    Status,
    carried_details,
    exception_to_status,
    status_to_error,
)
from jumpstarter.model.errors import (
    ConfigurationError,
    DriverError,
    DriverInvalidArgument,
    DriverMethodNotImplemented,
    ExporterNotReady,
    MethodNotFoundError,
    ValueEncodingError,
)


class BareError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "code", "details"),
    [
        (NotImplementedError("later"), Code.UNIMPLEMENTED, "later"),
        (NotImplementedError(), Code.UNIMPLEMENTED, "NotImplementedError"),
        (ValueError("bad"), Code.INVALID_ARGUMENT, "bad"),
        (UnicodeError("bad"), Code.INVALID_ARGUMENT, "bad"),
        (ValueEncodingError("arg: nan"), Code.INVALID_ARGUMENT, "arg: nan"),
        (ConfigurationError("bad"), Code.INVALID_ARGUMENT, "bad"),
        (ResultEncodingError("result: nan"), Code.INTERNAL, "result: nan"),
        (TimeoutError("slow"), Code.DEADLINE_EXCEEDED, "slow"),
        (TimeoutError(), Code.DEADLINE_EXCEEDED, "TimeoutError"),
        (ConnectionRefusedError("tcp://h:1"), Code.UNAVAILABLE, "tcp://h:1"),
        (ConnectionError("gone"), Code.UNAVAILABLE, "gone"),
        (OSError(5, "Input/output error"), Code.INTERNAL, "[Errno 5] Input/output error"),
        (FileNotFoundError("no file"), Code.INTERNAL, "no file"),
        (errors.ConnectionError("not the builtin"), Code.UNKNOWN, "not the builtin"),
        (MethodNotFoundError("method x"), Code.NOT_FOUND, "method x"),
        (ExporterNotReady("OFFLINE"), Code.FAILED_PRECONDITION, "OFFLINE"),
        (TypeError("2 arguments"), Code.UNKNOWN, "2 arguments"),
        (KeyError("k"), Code.UNKNOWN, "'k'"),
        (BareError(), Code.UNKNOWN, "BareError"),
        (ExceptionGroup("two", [ValueError("a")]), Code.UNKNOWN, "two (1 sub-exception)"),
        (SystemExit(3), Code.UNKNOWN, "SystemExit: 3"),
        (SystemExit(), Code.UNKNOWN, "SystemExit"),
        (OSError("bad name \udcff"), Code.INTERNAL, r"bad name \udcff"),
    ],
    ids=lambda item: type(item).__name__ if isinstance(item, BaseException) else "",
)
def test_an_exception_becomes_a_status(error: BaseException, code: Code, details: str):
    assert exception_to_status(error) == Status(code, details)


@pytest.mark.parametrize(
    ("code", "unary", "streaming"),
    [
        ("UNIMPLEMENTED", DriverMethodNotImplemented, DriverMethodNotImplemented),
        ("NOT_FOUND", DriverMethodNotImplemented, DriverError),
        ("INVALID_ARGUMENT", DriverInvalidArgument, DriverInvalidArgument),
        ("FAILED_PRECONDITION", ExporterNotReady, ExporterNotReady),
        ("DEADLINE_EXCEEDED", DriverError, DriverError),
        ("UNAVAILABLE", DriverError, DriverError),
        ("INTERNAL", DriverError, DriverError),
        ("UNKNOWN", DriverError, DriverError),
        ("CANCELLED", DriverError, DriverError),
        ("ABORTED", DriverError, DriverError),
        ("UNAUTHENTICATED", DriverError, DriverError),
        ("RESOURCE_EXHAUSTED", DriverError, DriverError),
        ("DATA_LOSS", DriverError, DriverError),
        ("A_CODE_OF_A_NEWER_PEER", DriverError, DriverError),
    ],
)
def test_a_status_becomes_an_error(
    code: str, unary: type[DriverError], streaming: type[DriverError]
):
    assert type(status_to_error(code, "text", unary=True)) is unary
    assert type(status_to_error(code, "text", unary=False)) is streaming
    assert str(status_to_error(code, "text", unary=True)) == "text"


@pytest.mark.parametrize("code", Code)
def test_codes_have_the_names_that_grpc_gives_them(code: Code):
    assert grpc.StatusCode[code.name].name == code.value


@pytest.mark.parametrize("kind", [DriverMethodNotImplemented, DriverInvalidArgument])
def test_an_error_that_comes_back_goes_on_as_it_came(kind: type[DriverError]):
    # A driver may be a client of another exporter.
    status = exception_to_status(kind("text"))
    assert type(status_to_error(status.code.name, status.details, unary=True)) is kind


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\n", "\udcff"])
def test_details_fit_into_a_status(letter: str):
    details = carried_details(letter * 10_000)
    assert details.endswith(" more bytes)")
    assert len(quote(details)) < 8192 - 500
