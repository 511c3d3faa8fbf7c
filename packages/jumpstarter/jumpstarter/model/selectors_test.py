"""Selectors: the grammar, its meaning, and errors that point at the place."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter.model.errors import ArgumentError
from jumpstarter.model.selectors import (
    Operator,
    Requirement,
    SelectorError,
    extract_match_labels_filter,
    matches,
    parse_label_selector,
    parse_selector,
    selector_contains,
)

BOARD = {"board": "rpi4", "site": "lab-1", "example.com/rack": "7", "empty": ""}


@pytest.mark.parametrize(
    ("selector", "requirements"),
    [
        ("", ()),
        ("  ", ()),
        ("a=b", (Requirement("a", Operator.EQUALS, ("b",)),)),
        ("a==b", (Requirement("a", Operator.EQUALS, ("b",)),)),
        (" a = b ", (Requirement("a", Operator.EQUALS, ("b",)),)),
        ("a=", (Requirement("a", Operator.EQUALS, ("",)),)),
        ("a!=b", (Requirement("a", Operator.NOT_EQUALS, ("b",)),)),
        ("a in (x)", (Requirement("a", Operator.IN, ("x",)),)),
        ("a in(x , y)", (Requirement("a", Operator.IN, ("x", "y")),)),
        ("a in ()", (Requirement("a", Operator.IN, ("",)),)),
        ("a in (,x)", (Requirement("a", Operator.IN, ("", "x")),)),
        ("a notin (x,y)", (Requirement("a", Operator.NOT_IN, ("x", "y")),)),
        ("a", (Requirement("a", Operator.EXISTS),)),
        ("!a", (Requirement("a", Operator.NOT_EXISTS),)),
        ("! a", (Requirement("a", Operator.NOT_EXISTS),)),
        ("in in (in)", (Requirement("in", Operator.IN, ("in",)),)),
        ("notin", (Requirement("notin", Operator.EXISTS),)),
        (
            "example.com/a=1,b",
            (
                Requirement("example.com/a", Operator.EQUALS, ("1",)),
                Requirement("b", Operator.EXISTS),
            ),
        ),
    ],
)
def test_grammar(selector: str, requirements: tuple[Requirement, ...]):
    assert parse_selector(selector) == requirements


@pytest.mark.parametrize(
    ("selector", "position", "problem"),
    [
        ("=b", 0, "expected a label name, found '='"),
        ("a=b,", 4, "expected a label name, found the end"),
        (",a", 0, "expected a label name, found ','"),
        ("a b", 2, "expected ',' or the end, found 'b'"),
        ("a=b=c", 3, "expected ',' or the end, found '='"),
        ("a in x", 5, "expected '(', found 'x'"),
        ("a in (x", 7, "expected ',' or ')', found the end"),
        ("a in (x y)", 8, "expected ',' or ')', found 'y'"),
        ("a>1", 0, "'a>1' is not a label name"),
        ("a=b c", 4, "expected ',' or the end, found 'c'"),
        ("-a", 0, "'-a' is not a label name"),
        ("a=b-", 2, "'b-' is not a label value"),
        ("a=b/c", 2, "'b/c' is not a label value"),
        ("a/b/c=d", 0, "'a/b/c' is not a label name"),
        ("UP.case/a=d", 0, "'UP.case/a' is not a label name"),
        ("a=" + "x" * 64, 2, "is not a label value"),
        ("x" * 64, 0, "is not a label name"),
        ("a=b,a=c", 5, "'a' cannot equal both 'b' and 'c'"),
    ],
)
def test_malformed_text_is_refused_with_its_place(selector: str, position: int, problem: str):
    with pytest.raises(SelectorError) as caught:
        parse_selector(selector)
    assert caught.value.position == position
    assert problem in caught.value.message
    assert caught.value.message.endswith(f"at character {position + 1}")
    assert selector in caught.value.message


def test_selector_error_is_an_argument_error_and_a_value_error():
    with pytest.raises(ArgumentError):
        parse_selector("=")
    with pytest.raises(ValueError, match="label name"):
        parse_selector("=")


@pytest.mark.parametrize(
    ("selector", "met"),
    [
        ("", True),
        ("board=rpi4", True),
        ("board==rpi4", True),
        ("board=rpi5", False),
        ("absent=x", False),
        ("board!=rpi5", True),
        ("board!=rpi4", False),
        ("absent!=x", True),
        ("board in (rpi3,rpi4)", True),
        ("board in (rpi3)", False),
        ("absent in (x)", False),
        ("board notin (rpi3)", True),
        ("board notin (rpi3,rpi4)", False),
        ("absent notin (x)", True),
        ("board", True),
        ("absent", False),
        ("!absent", True),
        ("!board", False),
        ("empty=", True),
        ("empty", True),
        ("board=", False),
        ("example.com/rack=7", True),
        ("board=rpi4,site=lab-1", True),
        ("board=rpi4,site=lab-2", False),
    ],
)
def test_matching(selector: str, met: bool):
    assert matches(selector, BOARD) is met
    assert matches(parse_selector(selector), BOARD) is met


def test_parse_label_selector_separates_equalities():
    selector = "a=b,c!=d,e in (x,y),f notin (z),g,!h"
    assert parse_label_selector(selector) == (
        {"a": "b"},
        [
            ("c", "!=", ["d"]),
            ("e", "in", ["x", "y"]),
            ("f", "notin", ["z"]),
            ("g", "exists", []),
            ("h", "!exists", []),
        ],
    )


@pytest.mark.parametrize(
    ("selector", "equalities"),
    [
        (None, None),
        ("", None),
        ("a in (x)", None),
        ("a=b", "a=b"),
        ("a==b, c != d, e = f", "a=b,e=f"),
    ],
)
def test_extract_match_labels_filter(selector: str | None, equalities: str | None):
    assert extract_match_labels_filter(selector) == equalities


@pytest.mark.parametrize(
    ("selector", "requirements", "contained"),
    [
        ("a=b,c=d", "c=d", True),
        ("a=b", "a=b,c=d", False),
        ("a=b", "a=c", False),
        ("a in (x,y)", "a in (y,x)", True),
        ("a in (x)", "a in (x,y)", False),
        ("a notin (b)", "a!=b", True),
        ("a in (b)", "a=b", True),
        ("!a", "!a", True),
        ("a", "!a", False),
        ("a=b", "a", False),
        ("a=b", "", True),
        ("", "a=b", False),
    ],
)
def test_selector_contains(selector: str, requirements: str, contained: bool):
    assert selector_contains(selector, requirements) is contained


NAMES = st.from_regex(r"\A[a-z0-9]([a-z0-9._-]{0,6}[a-z0-9])?\Z")
VALUES = st.just("") | NAMES
LABELS = st.dictionaries(NAMES, VALUES, max_size=4)


def _text(requirement: Requirement) -> str:
    match requirement.operator:
        case Operator.EXISTS:
            return requirement.key
        case Operator.NOT_EXISTS:
            return f"!{requirement.key}"
        case Operator.EQUALS | Operator.NOT_EQUALS:
            return f"{requirement.key} {requirement.operator} {requirement.values[0]}"
        case Operator.IN | Operator.NOT_IN:
            return f"{requirement.key} {requirement.operator} ({','.join(requirement.values)})"


@st.composite
def requirement_lists(draw: st.DrawFn) -> tuple[Requirement, ...]:
    found: list[Requirement] = []
    for key in draw(st.lists(NAMES, max_size=4, unique=True)):
        operator = draw(st.sampled_from(list(Operator)))
        match operator:
            case Operator.EXISTS | Operator.NOT_EXISTS:
                found.append(Requirement(key, operator))
            case Operator.EQUALS | Operator.NOT_EQUALS:
                found.append(Requirement(key, operator, (draw(VALUES),)))
            case Operator.IN | Operator.NOT_IN:
                values = draw(st.lists(VALUES, min_size=1, max_size=3))
                found.append(Requirement(key, operator, tuple(values)))
    return tuple(found)


@given(requirement_lists())
def test_what_is_written_is_what_is_read(requirements: tuple[Requirement, ...]):
    text = ",".join(_text(item) for item in requirements)
    assert parse_selector(text) == requirements
    assert selector_contains(text, text)


@given(requirement_lists(), LABELS)
def test_a_selector_matches_when_each_part_does(
    requirements: tuple[Requirement, ...], labels: Mapping[str, str]
):
    parts = [matches(_text(item), labels) for item in requirements]
    assert matches(requirements, labels) is all(parts)


@given(st.text(alphabet=st.characters() | st.sampled_from("ab=!,() in")))
def test_any_text_is_read_or_refused_inside_it(text: str):
    assert 0 <= _stop(text) <= len(text)


def _stop(text: str) -> int:
    try:
        parse_selector(text)
    except SelectorError as error:
        return error.position
    return len(text)
