"""Which arguments become ints, for every way to write that a parameter takes one."""

import functools
from collections.abc import Callable
from typing import Annotated, Any, Literal, Optional, Union

import pytest
from pydantic import Field, validate_call

from jumpstarter.driver import Driver, export
from jumpstarter.driver.decorators import MARKER_DRIVERCALL, MARKER_STREAMCALL
from jumpstarter.driver.signatures import convert_arguments, exported
from jumpstarter.local import serve
from jumpstarter.model.errors import DriverInvalidArgument, MethodNotFoundError


def whole(x: int) -> None: ...
def optional(x: int | None) -> None: ...
def optional_old(x: Optional[int]) -> None: ...  # noqa: UP045 - one way to write it
def union_old(x: Union[str, int]) -> None: ...  # noqa: UP007 - one way to write it
def textual(x: "int") -> None: ...
def textual_union(x: "int | None" = None) -> None: ...
def annotated(x: Annotated[int, Field(ge=0)]) -> None: ...
def positional_only(x: int, /) -> None: ...
def variable(*x: int) -> None: ...
def textual_variable(*x: "int") -> None: ...
@validate_call
def validated(x: int) -> None: ...
@functools.wraps(whole)
def behind(*args: object) -> None: ...


def real(x: float) -> None: ...
def either(x: int | float) -> None: ...
def either_old(x: Union[float, int, None]) -> None: ...  # noqa: UP007 - the case
def truth(x: bool) -> None: ...
def anything(x: Any) -> None: ...
def bare(x) -> None: ...  # pyright: ignore[reportMissingParameterType, reportUnknownParameterType] - the case
def choice(x: Literal[1, 2]) -> None: ...
def several(x: list[int]) -> None: ...
def by_name(*, x: int) -> None: ...
def reals(*x: float) -> None: ...


INTS: list[Callable[..., object]] = [
    whole,
    optional,
    optional_old,
    union_old,
    textual,
    textual_union,
    annotated,
    positional_only,
    variable,
    textual_variable,
    validated,
    behind,
]
OTHERS: list[Callable[..., object]] = [
    real,
    either,
    either_old,
    truth,
    anything,
    bare,
    choice,
    several,
    by_name,
    reals,
    functools.partial(real),
    print,
]


def kinds(args: list[object]) -> list[tuple[type, object]]:
    return [(type(arg), arg) for arg in args]


@pytest.mark.parametrize("function", INTS)
def test_whole_numbers_become_ints(function: Callable[..., object]):
    for number in (3.0, -0.0, 2.0**53, 1e300):
        assert kinds(convert_arguments(function, [number])) == [(int, int(number))]


@pytest.mark.parametrize("function", INTS)
@pytest.mark.parametrize("arg", [0.5, True, None, "3", [3.0]])
def test_what_is_no_whole_number_stays(function: Callable[..., object], arg: object):
    assert kinds(convert_arguments(function, [arg])) == [(type(arg), arg)]


@pytest.mark.parametrize("function", OTHERS)
def test_other_annotations_change_nothing(function: Callable[..., object]):
    assert kinds(convert_arguments(function, [3.0])) == [(float, 3.0)]


def test_each_argument_for_itself():
    def function(a: str, b: int, c: float, d: int = 3) -> None: ...

    args = ["a", 1.0, 1.0, 1.0]
    assert kinds(convert_arguments(function, args)) == kinds(["a", 1, 1.0, 1])
    assert kinds(convert_arguments(function, args[:2])) == kinds(["a", 1])
    assert kinds(convert_arguments(function, [*args, 5.0])) == kinds(["a", 1, 1.0, 1, 5.0])


def test_variable_parameters_come_after_the_others():
    def function(a: float, *rest: int) -> None: ...

    assert kinds(convert_arguments(function, [1.0, 1.0, 2.5, 2.0])) == kinds([1.0, 1, 2.5, 2])


class Numbers(Driver):
    """Methods whose first parameter is not among those of a call, whatever its name."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def usual(self, number: int, real: float) -> str:
        return repr((number, real))

    @export
    def unusual(this, number: int, real: float) -> str:  # noqa: N805 # pyright: ignore[reportSelfClsParameterName] - the case
        return repr((number, real))

    @classmethod
    @export
    def of_class(cls, number: int, real: float) -> str:
        return repr((number, real))

    @staticmethod
    @export
    def of_nothing(number: int, real: float) -> str:
        return repr((number, real))

    @export
    @validate_call
    def checked(self, number: int, real: float) -> str:
        return repr((number, real))

    def private(self) -> None: ...

    value = 3


@pytest.mark.parametrize("method", ["usual", "unusual", "of_class", "of_nothing", "checked"])
def test_over_the_wire(method: str):
    with serve(Numbers()) as client:
        assert client.call(method, 3, 4) == "(3, 4.0)"


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 10**400])
def test_int_that_no_double_holds_is_refused_by_name(number: int):
    with serve(Numbers()) as client:
        with pytest.raises(DriverInvalidArgument, match=r"^argument 2 of usual: .* does not fit"):
            client.call("usual", 1, number)
        with pytest.raises(DriverInvalidArgument, match=r"^argument 1 of usual\[0\]: "):
            client.call("usual", [number])


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**60, 2**1000])
def test_large_int_that_a_double_holds_arrives(number: int):
    with serve(Numbers()) as client:
        assert client.call("usual", number, 0) == repr((number, 0.0))


def test_exported_method_is_found():
    driver = Numbers()
    assert exported(driver, "usual", MARKER_DRIVERCALL) == driver.usual


@pytest.mark.parametrize("method", ["absent", "value", "", "uuid"])
def test_what_is_no_method_is_not_found(method: str):
    with pytest.raises(MethodNotFoundError, match=f"^method {method} not found on driver$"):
        exported(Numbers(), method, MARKER_DRIVERCALL)


@pytest.mark.parametrize(
    ("method", "marker"),
    [
        ("private", MARKER_DRIVERCALL),
        ("close", MARKER_DRIVERCALL),
        ("__class__", MARKER_DRIVERCALL),
        ("usual", MARKER_STREAMCALL),
    ],
)
def test_method_that_is_not_exported_so_is_not_called(method: str, marker: str):
    with pytest.raises(MethodNotFoundError, match=f"^method {method} missing marker {marker}$"):
        exported(Numbers(), method, marker)
