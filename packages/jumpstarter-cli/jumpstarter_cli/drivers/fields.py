"""What the constructor of a driver takes: its fields, as `config` in an exporter file gives them.

A driver is a pydantic dataclass, which checks and converts what it is given, or a standard one,
which takes it as it is. So `port: "5"` is right for the first and wrong for the second.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, cast

from jumpstarter.driver import Driver
from pydantic.fields import FieldInfo

from jumpstarter_cli.drivers.documentation import attribute_docs, resolved_hints, type_name

NOT_IN_CONFIG = frozenset({"uuid", "children", "description", "methods_description"})
"""Fields of every driver that are not for `config`: an exporter gives them, or stand beside it."""

_VARIABLE = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
_EMPTY: Mapping[object, str] = {dict: "{}", list: "[]", set: "set()", tuple: "()"}


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a driver.

    Attributes:
        name: the key under `config`.
        annotation: its type with all that restricts it; text where it names what is not imported.
        type_name: the type, as people read it.
        default: what it is when it is not given, as Python writes it; None when it is required.
        description: what it means, or empty.
    """

    name: str
    annotation: object
    type_name: str
    default: str | None
    description: str


@dataclass(frozen=True, kw_only=True)
class Constructor:
    """What a driver is built from.

    Attributes:
        fields: what it takes by name, its own first, then those of every driver.
        converts: it checks and converts what it is given.
        extra: it accepts names that are no fields.
    """

    fields: tuple[Field, ...]
    converts: bool
    extra: bool


def constructor_of(driver: type[Driver]) -> Constructor:
    """Return what the constructor of `driver` takes. Only the class is looked at."""
    owner = next(kind for kind in driver.__mro__ if "__init__" in vars(kind))
    converts = "__pydantic_validator__" in vars(owner)
    parameters = _parameters(owner, converts=converts)
    infos = cast("dict[str, FieldInfo]", getattr(owner, "__pydantic_fields__", {}))
    declared = {field.name: field for field in dataclasses.fields(driver)}
    hints, docs = resolved_hints(driver), attribute_docs(driver)
    fields = [
        _from_info(name, infos[name], docs)
        if converts and name in infos
        else _from_declaration(parameter, declared.get(name), hints, docs)
        for name, parameter in parameters.items()
        if parameter.kind not in _VARIABLE
    ]
    of_every_driver = {field.name for field in dataclasses.fields(Driver)}
    return Constructor(
        fields=tuple(sorted(fields, key=lambda field: field.name in of_every_driver)),
        converts=converts,
        extra=any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters.values()),
    )


def _parameters(owner: type, *, converts: bool) -> dict[str, inspect.Parameter]:
    # A pydantic dataclass hands its `__signature__` on to subclasses, also to those that have a
    # constructor of their own. So the signature of such a class is not to be trusted.
    if converts:
        return dict(inspect.signature(owner).parameters)
    items = list(inspect.signature(vars(owner)["__init__"]).parameters.items())
    return dict(items[1:])


def _from_info(name: str, info: FieldInfo, docs: Mapping[str, str]) -> Field:
    plain: object = info.annotation
    return Field(
        name=name,
        annotation=Annotated[plain, *info.metadata] if info.metadata else plain,
        type_name=type_name(plain),
        default=None if info.is_required() else _default(info.default, info.default_factory),
        description=info.description or docs.get(name, ""),
    )


def _from_declaration(
    parameter: inspect.Parameter,
    declared: "dataclasses.Field[object] | None",
    hints: Mapping[str, object],
    docs: Mapping[str, str],
) -> Field:
    annotation = hints.get(parameter.name, parameter.annotation)
    is_known = annotation is not parameter.empty
    factory = None if declared is None else declared.default_factory
    return Field(
        name=parameter.name,
        annotation=annotation if is_known else object,
        type_name=type_name(annotation) if is_known else "",
        default=None
        if parameter.default is parameter.empty
        else _default(parameter.default, None if factory is dataclasses.MISSING else factory),
        description=docs.get(parameter.name, ""),
    )


def _default(value: object, factory: Callable[..., object] | None) -> str:
    if factory is None:
        return repr(value)
    empty = _EMPTY.get(getattr(factory, "__origin__", factory))
    if empty is not None:
        return empty
    name = getattr(factory, "__name__", "")
    return "computed" if name in ("", "<lambda>") else f"{name}()"
