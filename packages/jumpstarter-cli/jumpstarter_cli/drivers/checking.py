"""What can be wrong with a driver entry of an exporter file: its type, and the values it is given.

A value is judged as the driver will take it: a pydantic dataclass converts, a standard one does
not. What only the constructor itself can tell, this does not know.
"""

import json
from collections.abc import Callable
from typing import Any, cast

from jumpstarter.config.check import DriverCheck, DriverField
from jumpstarter.config.problems import kind_of, shown
from jumpstarter.driver import Driver
from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from jumpstarter_cli.drivers.fields import Field, constructor_of
from jumpstarter_cli.drivers.loading import Unusable, load_driver

_SECRET = ("token", "password", "passphrase", "secret")


def check_driver(name: str) -> DriverCheck:
    """Return what is known of the driver that an exporter file names."""
    driver = load_driver(name)
    if isinstance(driver, Unusable):
        return DriverCheck(error=f"it {driver.reason}", hint=driver.hint)
    return check_of(driver)


def check_of(driver: type[Driver]) -> DriverCheck:
    """Return what the constructor of `driver` accepts."""
    constructor = constructor_of(driver)
    return DriverCheck(
        fields={
            field.name: DriverField(
                required=field.default is None,
                problem=_judge(field, converts=constructor.converts),
            )
            for field in constructor.fields
        },
        extra=constructor.extra,
    )


def _judge(field: Field, *, converts: bool) -> Callable[[object], str | None]:
    def problem(value: object) -> str | None:
        if value is None and field.default == "None":
            return None
        try:
            _validate(TypeAdapter(cast("Any", field.annotation)), value, converts=converts)
        except ValidationError as error:
            return _told(error.errors()[0], secret=any(word in field.name for word in _SECRET))
        except PydanticUserError:
            # A type that only its own code knows.
            return None
        return None

    return problem


def _validate(adapter: TypeAdapter[object], value: object, *, converts: bool) -> None:
    if converts:
        adapter.validate_python(value)
        return
    try:
        text = json.dumps(value)
    except TypeError:
        # YAML has dates, which JSON has not.
        adapter.validate_python(value)
    else:
        # Strict for JSON: a path or a date may stand as text, and a number may not.
        adapter.validate_json(text, strict=True)


def _told(details: ErrorDetails, *, secret: bool) -> str:
    message = details["msg"].replace("Input should be", "must be", 1)
    message = message.removeprefix("Value error, ")
    place = "".join(f" at {part}" for part in details["loc"] if isinstance(part, int))
    value = details["input"]
    return f"{message}{place}, not {kind_of(value) if secret else shown(value)}"
