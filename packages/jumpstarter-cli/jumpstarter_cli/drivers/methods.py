"""What a driver exports to its clients: methods, generators and byte streams."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from jumpstarter.driver.decorators import (
    MARKER_DRIVERCALL,
    MARKER_STREAMCALL,
    MARKER_STREAMING_DRIVERCALL,
    has_marker,
)

from jumpstarter_cli.drivers.documentation import resolved_hints, summary, type_name

_KINDS: Final = {
    MARKER_DRIVERCALL: "call",
    MARKER_STREAMING_DRIVERCALL: "streaming call",
    MARKER_STREAMCALL: "byte stream",
}


@dataclass(frozen=True, kw_only=True)
class Method:
    """Something that a driver exports.

    Attributes:
        name: what clients call it by.
        kind: `call`, `streaming call` or `byte stream`.
        signature: parameters and result as Python writes them; those of a stream are empty.
        description: what it does, or empty.
    """

    name: str
    kind: str
    signature: str
    description: str


def methods_of(driver: type) -> list[Method]:
    """Return what the class exports, in the order of its source, that of its bases first."""
    return [
        Method(
            name=name,
            kind=kind,
            signature="()" if kind == _KINDS[MARKER_STREAMCALL] else _signature(function),
            description=summary(inspect.getdoc(function)),
        )
        for name, kind, function in _exported(driver)
    ]


def _exported(driver: type) -> Iterator[tuple[str, str, Callable[..., object]]]:
    names = dict.fromkeys(name for kind in reversed(driver.__mro__) for name in vars(kind))
    for name in names:
        function = inspect.getattr_static(driver, name)
        for marker, kind in _KINDS.items():
            if callable(function) and has_marker(function, marker):
                yield name, kind, function


def _signature(function: Callable[..., object]) -> str:
    signature = inspect.signature(function)
    hints = resolved_hints(inspect.unwrap(function))
    parameters = [
        _parameter(parameter, hints.get(name, parameter.annotation))
        for name, parameter in list(signature.parameters.items())[1:]
    ]
    result = hints.get("return", signature.return_annotation)
    arrow = "" if result is signature.empty else f" -> {_result_name(result)}"
    return f"({', '.join(parameters)}){arrow}"


def _parameter(parameter: inspect.Parameter, annotation: object) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    typed = "" if annotation is parameter.empty else f": {type_name(annotation)}"
    if parameter.default is parameter.empty:
        return f"{stars}{parameter.name}{typed}"
    equals = " = " if typed else "="
    return f"{parameter.name}{typed}{equals}{parameter.default!r}"


def _result_name(annotation: object) -> str:
    return "None" if annotation is type(None) else type_name(annotation)
