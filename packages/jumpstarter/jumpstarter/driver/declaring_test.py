"""The ways to declare a driver: undecorated, a standard dataclass, a pydantic one, and mixtures."""

import dataclasses
import logging
from abc import ABCMeta, abstractmethod
from dataclasses import field
from typing import Any, ClassVar
from uuid import UUID

import pytest
from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from jumpstarter.driver import Driver, export
from jumpstarter.local import serve

ID = UUID("0b7c1d0e-0000-4000-8000-000000000001")


class SwitchInterface(metaclass=ABCMeta):
    """An interface as packages write them: no dataclass, and it names the client."""

    driver_type: ClassVar[str] = "power"

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @abstractmethod
    def on(self) -> str: ...


class Undecorated(SwitchInterface, Driver):
    """Has the constructor of its base."""

    @export
    def on(self) -> str:
        return "undecorated"


@dataclasses.dataclass(kw_only=True)
class Standard(SwitchInterface, Driver):
    """Has a constructor of its own, which checks nothing."""

    port: int
    speed: int = 9600
    seen: list[str] = field(default_factory=list[str])
    _fd: Any = field(init=False, default=None)
    __count: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        if hasattr(super(), "__post_init__"):
            super().__post_init__()
        self.seen.append(f"{type(self).__name__} {self.uuid} {len(self.children)}")
        self.logger.debug("made")
        self.__count += 1

    @export
    def on(self) -> str:
        return f"standard {self.port} {self.__count}"


@pydantic_dataclass(kw_only=True, config=ConfigDict(arbitrary_types_allowed=True))
class Pydantic(SwitchInterface, Driver):
    """Has a constructor of its own, which checks everything."""

    port: int
    names: dict[str, int] = field(default_factory=dict[str, int])
    _fd: object = field(init=False, default=None)
    __count: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        if hasattr(super(), "__post_init__"):
            super().__post_init__()
        self.logger.debug("made")
        self.__count += 1

    @export
    def on(self) -> str:
        return f"pydantic {self.port} {self.__count}"


@dataclasses.dataclass
class PlainMock(SwitchInterface, Driver):
    """Decorated without `kw_only`, which works for fields with defaults."""

    state: str = "off"
    log: list[str] = field(default_factory=list[str])

    @export
    def on(self) -> str:
        return self.state


class BelowStandard(Standard):
    """Undecorated below a standard dataclass: its constructor."""


@dataclasses.dataclass(kw_only=True)
class StandardBelowPydantic(Pydantic):
    """A standard dataclass below a pydantic one: nothing is checked any more."""

    extra: int = 0


@pydantic_dataclass(kw_only=True)
class PydanticBelowStandard(Standard):
    """A pydantic dataclass below a standard one: everything is checked again."""

    extra: int = 0


@dataclasses.dataclass(kw_only=True)
class Parent(SwitchInterface, Driver):
    """Adds a child of its own and takes those from outside."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.children["own"] = PlainMock(state=f"below {self.uuid}")

    @export
    def on(self) -> str:
        return ",".join(self.children)


MAKERS: list[Any] = [Undecorated, PlainMock, Parent]
WITH_PORT: list[Any] = [
    Standard,
    Pydantic,
    BelowStandard,
    StandardBelowPydantic,
    PydanticBelowStandard,
]
CHECKED: list[Any] = [Pydantic, PydanticBelowStandard]
UNCHECKED: list[Any] = [Standard, BelowStandard, StandardBelowPydantic]


def make(kind: Any, **arguments: object) -> Any:
    return kind(**({"port": 5} if kind in WITH_PORT else {}), **arguments)


@pytest.mark.parametrize("kind", [*MAKERS, *WITH_PORT])
def test_fields_of_the_base_can_be_given(kind: Any):
    child = Undecorated()
    driver = make(
        kind,
        uuid=ID,
        labels={"a": "b"},
        children={"child": child},
        description="what it is",
        methods_description={"on": "turns it on"},
        log_level="WARNING",
    )
    assert (driver.uuid, driver.labels, driver.description) == (ID, {"a": "b"}, "what it is")
    assert driver.children["child"] is child
    assert driver.methods_description == {"on": "turns it on"}
    assert driver.logger.level == logging.WARNING


@pytest.mark.parametrize("kind", [*MAKERS, *WITH_PORT])
def test_fields_of_the_base_have_defaults(kind: Any):
    driver, other = make(kind), make(kind)
    assert driver.uuid != other.uuid
    assert (driver.labels, driver.resources, driver.methods_description) == ({}, {}, {})
    assert driver.description is None
    assert driver.labels is not other.labels
    assert driver.children is not other.children


@pytest.mark.parametrize("kind", [*MAKERS, *WITH_PORT])
def test_logger_is_named_after_the_class(kind: Any):
    assert make(kind).logger is logging.getLogger(f"driver.{kind.__name__}")


@pytest.mark.parametrize("kind", [*MAKERS, *WITH_PORT])
def test_fields_of_the_base_are_visible_to_dataclasses(kind: Any):
    names = [item.name for item in dataclasses.fields(kind)]
    assert names[:8] == [
        "uuid",
        "labels",
        "children",
        "resources",
        "description",
        "methods_description",
        "log_level",
        "logger",
    ]


@pytest.mark.parametrize("kind", [*MAKERS, *WITH_PORT])
def test_driver_type_comes_from_the_interface(kind: Any):
    assert (kind.driver_type, Driver.driver_type) == ("power", "other")


@pytest.mark.parametrize("kind", [*MAKERS, *WITH_PORT])
def test_every_kind_can_be_served(kind: Any):
    driver = make(kind)
    with serve(driver) as client:
        assert client.call("on") == driver.on()


@pytest.mark.parametrize("kind", UNCHECKED)
def test_standard_dataclass_does_not_convert(kind: Any):
    assert kind(port="5").port == "5"


@pytest.mark.parametrize("kind", CHECKED)
def test_pydantic_dataclass_converts(kind: Any):
    assert kind(port="5").port == 5


@pytest.mark.parametrize("kind", CHECKED)
def test_pydantic_dataclass_refuses_what_it_cannot_convert(kind: Any):
    with pytest.raises(ValidationError, match="port"):
        kind(port="five")


@pytest.mark.parametrize("kind", UNCHECKED)
def test_standard_dataclass_misses_a_field(kind: Any):
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'port'"):
        kind()


@pytest.mark.parametrize("kind", CHECKED)
def test_pydantic_dataclass_misses_a_field(kind: Any):
    with pytest.raises(ValidationError, match="port"):
        kind()


@pytest.mark.parametrize("kind", UNCHECKED)
def test_standard_dataclass_refuses_unknown_keys(kind: Any):
    with pytest.raises(TypeError, match="unexpected keyword argument 'prot'"):
        kind(port=1, prot=2)


@pytest.mark.parametrize("kind", [Undecorated, *CHECKED])
def test_inherited_and_pydantic_constructors_ignore_unknown_keys(kind: Any):
    assert not hasattr(make(kind, prot=2), "prot")


@pytest.mark.parametrize("kind", [Undecorated, Pydantic])
@pytest.mark.parametrize(
    ("key", "value"),
    [("uuid", "no uuid"), ("labels", {"a": 1}), ("children", {"a": 1}), ("description", 3)],
)
def test_fields_of_the_base_are_checked(kind: Any, key: str, value: object):
    with pytest.raises(ValidationError, match=key):
        make(kind, **{key: value})


@pytest.mark.parametrize("kind", [Undecorated, Pydantic])
def test_fields_of_the_base_are_converted(kind: Any):
    assert make(kind, uuid=str(ID)).uuid == ID


@pytest.mark.parametrize("kind", [Undecorated, *CHECKED])
def test_checked_dictionaries_are_copies(kind: Any):
    children: dict[str, Driver] = {"a": Undecorated()}
    driver = make(kind, children=children)
    assert driver.children == children
    assert driver.children is not children


def test_standard_dataclass_keeps_the_dictionary():
    children: dict[str, Driver] = {}
    assert Standard(port=1, children=children).children is children


@pytest.mark.parametrize("kind", UNCHECKED)
@pytest.mark.parametrize("key", ["logger", "resources", "_fd"])
def test_standard_dataclass_refuses_fields_that_it_fills_itself(kind: Any, key: str):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{key}'"):
        make(kind, **{key: object()})


@pytest.mark.parametrize("kind", [Undecorated, *CHECKED])
@pytest.mark.parametrize("key", ["logger", "resources", "_fd"])
def test_pydantic_constructors_do_not_take_fields_that_they_fill_themselves(kind: Any, key: str):
    mine = object()
    assert getattr(make(kind, **{key: mine}), key, None) is not mine


def test_post_init_runs_once_and_sees_the_base():
    child = Undecorated()
    driver = BelowStandard(port=1, children={"a": child})
    assert driver.seen == [f"BelowStandard {driver.uuid} 1"]


def test_post_init_may_add_children():
    driver = Parent(children={"given": Undecorated()})
    assert list(driver.children) == ["given", "own"]
    assert [name for _, _, name, _ in driver.enumerate()] == [None, "given", "own"]


def test_post_init_of_a_mixin_behind_the_driver_runs():
    class Late:
        def __post_init__(self) -> None:
            self.is_late = True

    class Mixed(Undecorated, Late):
        pass

    driver = Mixed()
    assert (driver.is_late, driver.logger.name) == (True, "driver.Mixed")


def test_fields_private_to_a_class_keep_their_defaults():
    driver = PydanticBelowStandard(port=1)
    assert (vars(driver)["_fd"], vars(driver)["_Standard__count"]) == (None, 2)
    assert driver.on() == "standard 1 2"


@pytest.mark.parametrize("kind", [Driver, SwitchInterface])
def test_interfaces_cannot_be_instantiated(kind: type[Driver]):
    with pytest.raises(TypeError, match="abstract"):
        kind()


def test_driver_must_implement_its_interface():
    class Unfinished(SwitchInterface, Driver):
        pass

    with pytest.raises(TypeError, match=r"abstract method '?on"):
        Unfinished()  # pyright: ignore[reportAbstractUsage] - what is to be refused


def test_log_level_must_be_one():
    with pytest.raises(ValueError, match="LOUD"):
        Undecorated(log_level="LOUD")
