"""Python values to and from `google.protobuf.Value`, refusing what would silently change.

The wire has JSON's kinds: a number is a double, there are no bytes and no nan. What fits is encoded
as release 0.9.0 does it; what would arrive as something else raises `ValueEncodingError`, whose
text names the argument or the place inside it.
"""

import math
from collections.abc import Iterable, Mapping
from typing import cast

from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value

from jumpstarter.model.errors import ValueEncodingError

NESTING = 99
"""Messages inside one another that a value may have: protobuf reads 100, one is the request's."""

_LIST_NESTING = 2
_STRUCT_NESTING = 3
_LONG = 10**40
_SEQUENCES = (list, tuple, set, frozenset)


def encode_value(value: object, where: str = "value", nesting: int = NESTING) -> Value:
    """Return `value` as a protobuf Value; `where` names it in errors.

    Raises ValueEncodingError for nan and infinities, for an integer that a double cannot hold
    exactly, for bytes and text that have no UTF-8 form, for keys that become the same text, for
    what is nested deeper than `nesting` messages, and for objects with no JSON form.
    """
    kind = type(value)
    if kind is str:
        try:
            return Value(string_value=value)  # pyright: ignore[reportArgumentType] - narrowed by `kind`
        except UnicodeEncodeError as error:
            message = f"{where}: text that is not UTF-8: {error}"
            raise ValueEncodingError(message) from None
    if value is None:
        return Value(null_value=NULL_VALUE)
    if kind is bool:
        return Value(bool_value=value)  # pyright: ignore[reportArgumentType] - narrowed by `kind`
    if isinstance(value, (int, float)) and kind in (int, float):
        return Value(number_value=_number(value, where))
    return _encode_composed(value, where, nesting)


def decode_value(value: Value) -> object:
    """Return the Python value: None, bool, float, str, list or dict; an unset Value is None."""
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return value.number_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return {key: decode_value(item) for key, item in value.struct_value.fields.items()}
        case "list_value":
            return [decode_value(item) for item in value.list_value.values]
        case _:
            return None


def _number(value: float, where: str) -> float:
    """Return `value` as the double that carries it exactly."""
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        message = f"{where}: {value} has no JSON form; send a finite number or None"
        raise ValueEncodingError(message)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if number != value:
        shown = value if abs(value) < _LONG else f"an integer of {value.bit_length()} bits"
        message = f"{where}: {shown} does not fit a double exactly; send it as a string"
        raise ValueEncodingError(message)
    return number


def _encode_composed(value: object, where: str, nesting: int) -> Value:
    if isinstance(value, Mapping):
        items: Mapping[object, object] = value  # pyright: ignore[reportUnknownVariableType] - any mapping
        return Value(struct_value=Struct(fields=_fields(items, where, nesting - _STRUCT_NESTING)))
    if isinstance(value, _SEQUENCES):
        _check(nesting - _LIST_NESTING, where)
        elements = cast("Iterable[object]", value)
        values = [
            encode_value(item, f"{where}[{index}]", nesting - _LIST_NESTING)
            for index, item in enumerate(elements)
        ]
        return Value(list_value=ListValue(values=values))
    if isinstance(value, (bytes, bytearray)):
        return Value(string_value=_text(value, where))
    # Models, dataclasses, enums, paths, UUIDs, dates: pydantic knows their JSON form, and what that
    # cannot carry is refused by the second pass.
    try:
        plain = _plain(value)
    except ValueError as error:
        message = f"{where}: {type(value).__name__} cannot be sent: {error}"
        raise ValueEncodingError(message) from error
    return encode_value(plain, where, nesting)


def _fields(items: Mapping[object, object], where: str, nesting: int) -> dict[str, Value]:
    _check(nesting, where)
    fields = {
        _key(key, where): encode_value(item, f"{where}[{key!r}]", nesting)
        for key, item in items.items()
    }
    if len(fields) < len(items):
        message = f"{where}: two of its keys are the same text, as 1 and '1' are"
        raise ValueEncodingError(message)
    return fields


def _check(nesting: int, where: str) -> None:
    if nesting < 0:
        name = where.partition("[")[0]
        message = f"{name}: nested too deeply, or contains itself; send it flat, or as JSON text"
        raise ValueEncodingError(message)


def _key(key: object, where: str) -> str:
    """Return a mapping's key as the text that JSON gives it."""
    if isinstance(key, float):
        _number(key, f"a key of {where}")
    try:
        plain = (
            key
            if isinstance(key, str)
            else next(iter(cast("dict[str, None]", _plain({key: None}))))
        )
        text = str.__str__(plain)
        text.encode()
    except ValueError as error:
        message = f"{where}: the key {key!r} cannot be sent: {error}"
        raise ValueEncodingError(message) from error
    return text


def _plain(value: object) -> object:
    from jumpstarter.model.json_form import json_form  # noqa: PLC0415 - slow, and rarely needed

    return json_form(value)


def _text(data: bytes | bytearray, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        message = f"{where}: {len(data)} bytes that are not UTF-8; use a stream, or encode them"
        raise ValueEncodingError(message) from error
