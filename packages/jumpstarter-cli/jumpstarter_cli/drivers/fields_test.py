import dataclasses
from typing import Annotated

import pydantic
from jumpstarter.driver import Driver
from pydantic import Field as PydanticField
from pydantic.dataclasses import dataclass as pydantic_dataclass

from .fields import Constructor, constructor_of


class Switch:
    """An interface, as drivers have them: no dataclass."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"


class Undecorated(Switch, Driver):
    pass


@dataclasses.dataclass(kw_only=True)
class Standard(Switch, Driver):
    port: int
    """Where it is."""

    names: list[str] = dataclasses.field(default_factory=list[str])
    token: str | None = None
    seed: float = dataclasses.field(default_factory=lambda: 0.5)
    started: int = dataclasses.field(default_factory=int)
    opened: bool = dataclasses.field(default=False, init=False)


@pydantic_dataclass(kw_only=True)
class Checked(Switch, Driver):
    port: Annotated[int, PydanticField(ge=1)]
    speed: int = PydanticField(default=9600, description="Bits per second.")
    tags: dict[str, str] = pydantic.Field(default_factory=dict)


@dataclasses.dataclass(kw_only=True)
class BelowChecked(Checked):
    color: str = "red"


class OwnConstructor(Switch, Driver):
    def __init__(self, path: str, *, depth: int = 2, **more: object) -> None:
        super().__init__()
        self.path, self.depth, self.more = path, depth, more


class NamesUnknownTypes(Switch, Driver):
    def __init__(self, bus: "NotImported", size=3) -> None:  # noqa: F821 # pyright: ignore[reportMissingParameterType, reportUnknownParameterType, reportUndefinedVariable] - that is the case
        super().__init__()
        del bus, size


def rows(constructor: Constructor) -> dict[str, tuple[str, str | None, str]]:
    return {
        field.name: (field.type_name, field.default, field.description)
        for field in constructor.fields
    }


def test_undecorated_driver_has_the_fields_of_every_driver():
    constructor = constructor_of(Undecorated)
    assert constructor.converts
    assert not constructor.extra
    found = rows(constructor)
    assert list(found)[-1] == "log_level"
    assert found["log_level"] == ("str", "'INFO'", "Level of `logger`.")
    assert found["uuid"] == ("UUID", "uuid4()", "")
    assert "logger" not in found


def test_standard_dataclass_takes_what_it_is_given():
    constructor = constructor_of(Standard)
    assert not constructor.converts
    found = rows(constructor)
    assert list(found)[:2] == ["port", "names"]
    assert found["port"] == ("int", None, "Where it is.")
    assert found["names"] == ("list[str]", "[]", "")
    assert found["token"] == ("str | None", "None", "")
    assert found["seed"] == ("float", "computed", "")
    assert found["started"] == ("int", "int()", "")
    assert "opened" not in found


def test_pydantic_dataclass_converts_and_describes():
    constructor = constructor_of(Checked)
    assert constructor.converts
    found = rows(constructor)
    assert found["port"] == ("int", None, "")
    assert found["speed"] == ("int", "9600", "Bits per second.")
    assert found["tags"] == ("dict[str, str]", "{}", "")


def test_standard_dataclass_below_a_pydantic_one_does_not_convert():
    constructor = constructor_of(BelowChecked)
    assert not constructor.converts
    found = rows(constructor)
    assert found["color"] == ("str", "'red'", "")
    assert found["port"][1] is None


def test_constructor_written_by_hand_is_read_from_its_signature():
    constructor = constructor_of(OwnConstructor)
    assert rows(constructor) == {"path": ("str", None, ""), "depth": ("int", "2", "")}
    assert constructor.extra
    assert not constructor.converts


def test_types_that_are_not_known_are_shown_as_written():
    found = rows(constructor_of(NamesUnknownTypes))
    assert found == {"bus": ("NotImported", None, ""), "size": ("", "3", "")}
