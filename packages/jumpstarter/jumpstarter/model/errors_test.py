"""Errors: the line for a user, the cause behind it, and which builtins they are."""

import builtins

import pytest

from jumpstarter.model import errors


def test_the_message_is_the_line_and_the_text_has_the_cause():
    error = errors.DriverError("cannot open the door")
    assert (str(error), error.message) == ("cannot open the door", "cannot open the door")
    error.__cause__ = OSError("the key broke")
    assert str(error) == "cannot open the door (Caused by: the key broke)"
    assert error.message == "cannot open the door"


def test_an_error_may_carry_the_configuration_in_use():
    error = errors.ReauthenticationFailed("log in again")
    assert error.get_config() is None
    config = object()
    assert error.set_config(config) is error
    assert error.get_config() is config


@pytest.mark.parametrize(("told", "line"), [(None, "its own"), ("another", "another")])
def test_an_error_is_printed_in_one_line(
    told: str | None, line: str, capsys: pytest.CaptureFixture[str]
):
    errors.ArgumentError("its own").print(told)
    assert capsys.readouterr() == ("", f"{line}\n")


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.DriverMethodNotImplemented("x"), NotImplementedError),
        (errors.DriverInvalidArgument("x"), ValueError),
        (errors.ConfigurationError("x"), ValueError),
        (errors.FileNotFoundError("x"), builtins.FileNotFoundError),
        (errors.ValueEncodingError("x"), ValueError),
        (errors.MethodNotFoundError("x"), LookupError),
    ],
)
def test_errors_that_are_builtins_too(error: Exception, builtin: type[Exception]):
    assert isinstance(error, builtin)
    assert str(error) == "x"


def test_a_connection_error_is_not_the_builtin():
    assert not issubclass(errors.ConnectionError, builtins.ConnectionError)


def test_what_an_error_was_about_is_kept():
    assert errors.MissingDriverError("install it", "a.B").class_path == "a.B"
    hook = errors.HookExecutionError("failed", "exit", "beforeLease")
    assert (hook.message, hook.on_failure, hook.hook_type) == ("failed", "exit", "beforeLease")
