import click
import pytest

from .words import joined_selector, listed, paired


def test_lists():
    assert listed(["a,b", " c ", "a", ",", ""]) == ["a", "b", "c"]


def test_pairs():
    assert paired(["a=1", "b=", "c=x=y"], "--tag") == {"a": "1", "b": "", "c": "x=y"}


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (["a"], "--tag: 'a' is no KEY=VALUE"),
        (["=a"], "--tag: '=a' is no KEY=VALUE"),
        (["a=1", "a=1"], "--tag: 'a' is given twice"),
    ],
)
def test_texts_that_are_no_pairs(values: list[str], line: str):
    with pytest.raises(click.UsageError, match=line):
        paired(values, "--tag")


def test_selectors():
    assert joined_selector(["a=b", "c in (d,e)"]) == "a=b,c in (d,e)"
    assert joined_selector([]) is None
    assert joined_selector([" "]) is None
