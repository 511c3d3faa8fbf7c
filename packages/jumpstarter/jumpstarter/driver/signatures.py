"""Which exported method a call means, and its arguments as the method's annotations want them.

The wire has one kind of number, a double. An argument for a parameter annotated `int` that holds an
integer arrives as an int; everything else arrives as decoded.
"""

import inspect
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from jumpstarter.driver.decorators import has_marker
from jumpstarter.model.errors import MethodNotFoundError


@dataclass(frozen=True, slots=True)
class Integers:
    """The positions of a function's parameters that take an int."""

    positions: frozenset[int]
    rest: bool
    """Whether the variable positional parameter, where there is one, takes ints."""
    count: int


def exported(driver: object, method: str, marker: str) -> Callable[..., object]:
    """Return the bound method that carries `marker`.

    Raises MethodNotFoundError where there is none, or where it is exported in another way.
    """
    function = getattr(driver, method, None)
    if function is None or not callable(function):
        message = f"method {method} not found on driver"
        raise MethodNotFoundError(message)
    if not has_marker(function, marker):
        message = f"method {method} missing marker {marker}"
        raise MethodNotFoundError(message)
    return function


def convert_arguments(function: Callable[..., object], args: Sequence[object]) -> list[object]:
    """Return `args` with whole numbers as ints where `function` is annotated so."""
    method = getattr(function, "__func__", None)
    # A bound method has no hash where its driver has none; what it is made from does.
    integers = _integers(function, 0) if method is None else _integers(method, 1)
    if not integers.positions and not integers.rest:
        return list(args)
    return [
        int(arg) if _wants_int(integers, index) and _is_whole(arg) else arg
        for index, arg in enumerate(args)
    ]


def _is_whole(arg: object) -> typing.TypeGuard[float]:
    return isinstance(arg, float) and arg.is_integer()


def _wants_int(integers: Integers, index: int) -> bool:
    return index in integers.positions or (integers.rest and index >= integers.count)


@lru_cache(maxsize=4096)
def _integers(function: Callable[..., object], bound: int) -> Integers:
    """Return where `function` takes ints; the first `bound` parameters are no arguments."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[bound:]
    except (TypeError, ValueError, NameError):
        return Integers(frozenset(), rest=False, count=0)
    names = getattr(inspect.unwrap(function), "__globals__", {})
    positional = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    rest = [parameter for parameter in parameters if parameter.kind is parameter.VAR_POSITIONAL]
    return Integers(
        frozenset(
            index
            for index, parameter in enumerate(positional)
            if _takes_int(_resolved(parameter.annotation, names))
        ),
        rest=any(_takes_int(_resolved(item.annotation, names)) for item in rest),
        count=len(positional),
    )


def _resolved(annotation: object, names: dict[str, object]) -> object:
    """Return what an annotation means; one with a name that is only for type checkers stays text.

    Each by itself, so that one that cannot be resolved spoils no other.
    """

    def carrier() -> None: ...

    carrier.__annotations__ = {"it": annotation}
    try:
        return typing.get_type_hints(carrier, names)["it"]
    except (NameError, TypeError, AttributeError, SyntaxError):
        return annotation


def _takes_int(annotation: object) -> bool:
    """Return whether `annotation` is int, or a union with int in which no float would fit."""
    if annotation is int:
        return True
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = typing.get_args(annotation)
        return int in members and float not in members
    return False
