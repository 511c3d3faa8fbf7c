"""The JSON form of any object that pydantic knows, as its own class gives it.

A module of its own, because pydantic takes long to load: it is imported when such an object is met.
"""

from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter

_ANYTHING: Final[TypeAdapter[Any]] = TypeAdapter(
    Any, config=ConfigDict(ser_json_inf_nan="constants")
)


def json_form(value: object) -> object:
    """Return `value` in JSON's kinds; non-finite numbers stay themselves.

    Raises ValueError for an object with no JSON form.
    """
    return _ANYTHING.dump_python(value, mode="json")
