"""Checks the arguments of a method against its annotations before the method runs.

An error is one line that names the method and the argument, and a ValueError, which a driver's
caller sees as an invalid argument.
"""

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from functools import wraps
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

F = TypeVar("F", bound=Callable[..., object])
Check = Callable[[tuple[object, ...], dict[str, object]], inspect.BoundArguments]


def validated(method: F) -> F:
    """Return `method`, of the same kind, with its arguments converted to their annotated types.

    The kinds are plain function, coroutine function and async generator function. The first
    parameter, `self`, is passed on as it is, and so is one without an annotation.
    """
    check = _check(method)
    if inspect.isasyncgenfunction(method):
        return cast("F", _async_generator(method, check))
    if inspect.iscoroutinefunction(method):
        return cast("F", _coroutine_function(method, check))
    return cast("F", _function(method, check))


def _check(method: Callable[..., object]) -> Check:
    signature = inspect.signature(method)
    adapters: dict[str, TypeAdapter[object]] = {
        parameter.name: TypeAdapter(parameter.annotation)
        for parameter in list(signature.parameters.values())[1:]
        if parameter.annotation is not parameter.empty
    }

    def check(args: tuple[object, ...], kwargs: dict[str, object]) -> inspect.BoundArguments:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            message = f"{method.__name__}: {error}"
            raise ValueError(message) from None
        for name in bound.arguments.keys() & adapters.keys():
            bound.arguments[name] = _converted(
                adapters[name], bound.arguments[name], f"{method.__name__}: argument {name!r}"
            )
        return bound

    return check


def _converted(adapter: TypeAdapter[object], value: object, where: str) -> object:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_context=False)[0]["msg"]
        message = f"{where}: {reason}, not {value!r}"
        raise ValueError(message) from None


def _function(method: Callable[..., object], check: Check) -> Callable[..., object]:
    @wraps(method)
    def wrapper(*args: object, **kwargs: object) -> object:
        bound = check(args, kwargs)
        return method(*bound.args, **bound.kwargs)

    return wrapper


def _coroutine_function(
    method: Callable[..., Coroutine[Any, Any, object]], check: Check
) -> Callable[..., object]:
    @wraps(method)
    async def wrapper(*args: object, **kwargs: object) -> object:
        bound = check(args, kwargs)
        return await method(*bound.args, **bound.kwargs)

    return wrapper


def _async_generator(
    method: Callable[..., AsyncGenerator[object, None]], check: Check
) -> Callable[..., object]:
    @wraps(method)
    async def wrapper(*args: object, **kwargs: object) -> AsyncGenerator[object, None]:
        bound = check(args, kwargs)
        async with aclosing(method(*bound.args, **bound.kwargs)) as items:
            async for item in items:
                yield item

    return wrapper
