import dataclasses
from datetime import date
from pathlib import Path
from typing import Annotated

import pytest
from jumpstarter.driver import Driver
from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from .checking import check_driver, check_of


@dataclasses.dataclass(kw_only=True)
class Standard(Driver):
    port: int
    title: str | None = None
    path: Path = Path("/dev/null")
    ratio: float = 1.0
    ports: list[int] = dataclasses.field(default_factory=list[int])
    since: date = date(2026, 1, 1)
    bus: object = None
    lock: "Unknowable" = None  # noqa: F821 # pyright: ignore[reportUndefinedVariable] - that is the case
    access_token: str = ""
    sloppy: str = None  # pyright: ignore[reportAssignmentType] - drivers are written so

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"


@pydantic_dataclass(kw_only=True)
class Checked(Driver):
    port: Annotated[int, Field(ge=1)]
    level: int = Field(default=1, le=9)

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"


def problem(driver: type[Driver], field: str, value: object) -> str | None:
    return check_of(driver).fields[field].problem(value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("port", 5),
        ("title", None),
        ("path", "/dev/ttyUSB0"),
        ("ratio", 1),
        ("since", date(2026, 2, 3)),
        ("since", "2026-02-03"),
        ("bus", {"any": "thing"}),
        ("sloppy", None),
    ],
)
def test_what_a_standard_dataclass_can_use_is_right(field: str, value: object):
    assert problem(Standard, field, value) is None


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("port", "5", "must be a valid integer, not '5'"),
        ("port", None, "must be a valid integer, not null"),
        ("title", 5, "must be a valid string, not 5"),
        ("ports", [1, "x"], "must be a valid integer at 1, not 'x'"),
        ("access_token", 5, "must be a valid string, not a number"),
    ],
)
def test_what_a_standard_dataclass_would_take_as_it_is_is_told(
    field: str, value: object, told: str
):
    assert problem(Standard, field, value) == told


def test_type_that_is_not_known_is_not_judged():
    assert problem(Standard, "lock", 5) is None


def test_pydantic_dataclass_converts_so_text_may_be_a_number():
    assert problem(Checked, "port", "5") is None
    assert problem(Checked, "port", "x") == (
        "must be a valid integer, unable to parse string as an integer, not 'x'"
    )


def test_limits_of_a_pydantic_dataclass_are_known():
    assert problem(Checked, "port", 0) == "must be greater than or equal to 1, not 0"
    assert problem(Checked, "level", 10) == "must be less than or equal to 9, not 10"


def test_required_fields_are_those_without_default():
    required = {name for name, field in check_of(Standard).fields.items() if field.required}
    assert required == {"port"}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("Qqqqq", "it is not installed"),
        (
            "jumpstarter.driver.Driver",
            "it is not complete: it lacks client",
        ),
        ("jumpstarter.client.DriverClient", "it is not a driver"),
    ],
)
def test_type_that_cannot_be_used_is_told(name: str, error: str):
    found = check_driver(name)
    assert found.error == error
    assert found.hint
