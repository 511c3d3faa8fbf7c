"""Ints for methods of a module that postpones its annotations, some of which nobody can resolve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

import pytest

from jumpstarter.driver import Driver, export
from jumpstarter.local import serve

if TYPE_CHECKING:  # What is tested: drivers of others do so.
    from decimal import Decimal as Absent


class Postponed(Driver):
    """Annotations are text here, and `Absent` is a name that only type checkers know."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def plain(self, number: int) -> str:
        return repr(number)

    @export
    def optional(self, number: Optional[int] = None) -> str:  # noqa: UP045 - one way to write it
        return repr(number)

    @export
    def beside_unknown(self, thing: Absent, number: int | None) -> str:
        return repr((thing, number))

    @export
    def number_or_unknown(self, number: int | Absent) -> str:
        return repr(number)


@pytest.mark.parametrize(
    ("method", "args", "seen"),
    [
        ("plain", (3,), "3"),
        ("optional", (3,), "3"),
        ("optional", (None,), "None"),
        ("beside_unknown", (3, 3), "(3.0, 3)"),
        ("number_or_unknown", (3,), "3.0"),
    ],
)
def test_text_is_resolved_where_it_can_be(method: str, args: tuple[object, ...], seen: str):
    with serve(Postponed()) as client:
        assert client.call(method, *args) == seen
