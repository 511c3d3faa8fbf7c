"""Errors as one line, and errors in groups."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import click
from jumpstarter.model.errors import (
    ConnectionError,  # noqa: A004 - its public name
    JumpstarterException,
)
from jumpstarter_cli.failures import failure_of

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class ClickExceptionRed(click.ClickException):
    """An error whose line is red on a terminal."""

    def format_message(self) -> str:
        """Return the line."""
        return click.style(self.message, fg="red")


def handle_exceptions(func: Callable[P, T]) -> Callable[P, T]:
    """Return the function with errors that were raised on purpose turned into one line."""

    @wraps(func)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return func(*args, **kwargs)
        except (JumpstarterException, BaseExceptionGroup) as error:
            raise _told(error) from error

    return wrapper


def async_handle_exceptions(
    func: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Do as `handle_exceptions` for a coroutine function."""

    @wraps(func)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await func(*args, **kwargs)
        except (JumpstarterException, BaseExceptionGroup) as error:
            raise _told(error) from error

    return wrapper


def handle_exceptions_with_reauthentication(
    login_func: Callable[[Any], object],
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator as `handle_exceptions` that logs in once when a token has run out.

    `login_func` takes the configuration that the error was given; then the function is called anew.
    """

    def decorate(func: Callable[P, T]) -> Callable[P, T]:
        @wraps(func)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return func(*args, **kwargs)
            except (ConnectionError, BaseExceptionGroup) as error:
                found = _connection_error(error)
                config = None if found is None else found.get_config()
                if found is None or "expired" not in str(found).lower() or config is None:
                    raise _told(error) from error
            login_func(config)
            return handle_exceptions(func)(*args, **kwargs)

        return handle_exceptions(wrapper)

    return decorate


def leaf_exceptions(
    self: BaseExceptionGroup[BaseException],
    *,
    fix_tracebacks: bool = True,
) -> list[BaseException]:
    """Return the errors in a group and in the groups within; their tracebacks stay as they are."""
    del fix_tracebacks
    found: list[BaseException] = []
    for error in self.exceptions:
        if isinstance(error, BaseExceptionGroup):
            found += leaf_exceptions(cast("BaseExceptionGroup[BaseException]", error))
        else:
            found.append(error)
    return found


def find_exception_in_group(
    eg: BaseExceptionGroup[BaseException],
    exc_type: type[BaseException],
    *,
    fix_tracebacks: bool = False,
) -> BaseException | None:
    """Return the first error of that type in a group, or None."""
    leaves = leaf_exceptions(eg, fix_tracebacks=fix_tracebacks)
    return next((error for error in leaves if isinstance(error, exc_type)), None)


def _connection_error(error: BaseException) -> ConnectionError | None:
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return cast("ConnectionError | None", find_exception_in_group(group, ConnectionError))
    return error if isinstance(error, ConnectionError) else None


def _told(error: BaseException) -> ClickExceptionRed:
    return ClickExceptionRed(failure_of(error).line)
