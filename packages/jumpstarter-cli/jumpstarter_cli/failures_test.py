import click
import pytest
from jumpstarter.model.errors import (
    ConfigurationError,
    DriverError,
    HookExecutionError,
)

from .failures import Failure, failure_of


def usage_error(text: str) -> click.UsageError:
    return click.UsageError(text, click.Context(click.Command("shell"), info_name="jmp shell"))


def aborted_by(cause: BaseException) -> click.Abort:
    error = click.Abort()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (ConfigurationError("the file is wrong"), "the file is wrong", 1),
        (HookExecutionError("hook failed", "exit", "afterLease"), "hook failed", 1),
        (click.ClickException("no"), "no", 1),
        (usage_error("no such thing"), "no such thing. Try 'jmp shell --help'.", 2),
        (usage_error("Did you mean --x?"), "Did you mean --x? Try 'jmp shell --help'.", 2),
        (FileNotFoundError(2, "No such file", "/x"), "/x: No such file", 1),
        (OSError("cannot listen"), "cannot listen", 1),
        (ValueError("no"), "no", 1),
        (KeyError("wick"), "KeyError: 'wick'", 1),
        (TimeoutError(), "TimeoutError", 1),
        (KeyboardInterrupt(), "interrupted", 2),
        (aborted_by(KeyboardInterrupt()), "interrupted", 2),
        (aborted_by(EOFError()), "aborted", 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_each_error_has_its_line_and_code(error: BaseException, line: str, code: int):
    assert failure_of(error) == Failure(line, code)


def test_message_of_several_lines_becomes_one_and_loses_its_controls():
    assert failure_of(DriverError("a\n  b\x1b[31m")).line == "a b\\x1b[31m"


def test_cause_is_not_shown_to_users():
    error = DriverError("the call failed")
    error.__cause__ = RuntimeError("grpc")
    assert failure_of(error).line == "the call failed"


def test_group_is_told_by_what_is_in_it():
    inner = ConfigurationError("wrong")
    assert failure_of(ExceptionGroup("tasks", [ExceptionGroup("more", [inner])])).line == "wrong"
