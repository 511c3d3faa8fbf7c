from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from .documentation import attribute_docs, own_docstring, summary, type_name


@dataclass
class Base:
    """A base."""

    a: int
    """Of the base."""
    b: int
    """Of the base."""


@dataclass
class Below(Base):
    b: int
    """Of the class,
    in two lines.

    And more.
    """
    c: int


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (int, "int"),
        (Path, "Path"),
        (dict[str, Path | None], "dict[str, Path | None]"),
        (Callable[[int], None], "Callable[[int], None]"),
        (Literal[1, "a"], "Literal[1, 'a']"),
        ("serial.Serial", "Serial"),
    ],
)
def test_type_is_named_without_modules(annotation: object, name: str):
    assert type_name(annotation) == name


def test_texts_below_fields_are_found_and_those_of_the_class_win():
    assert attribute_docs(Below) == {"a": "Of the base.", "b": "Of the class, in two lines."}


def test_class_without_source_has_none():
    assert attribute_docs(type("Made", (), {})) == {}


def test_docstring_that_a_dataclass_wrote_is_none():
    assert own_docstring(Base) == "A base."
    assert own_docstring(Below) == ""


def test_summary_is_the_first_paragraph_in_one_line():
    assert summary("One\n    two.\n\n    Three.") == "One two."
    assert summary(None) == ""
