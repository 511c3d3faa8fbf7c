"""Which paths count as created."""

import pytest

from jumpstarter_driver_opendal.created import (
    ancestors,
    at_or_below,
    created_name,
    removal_order,
)


@pytest.mark.parametrize(
    ("path", "name"),
    [("/a/b/", "a/b"), ("a\\b", "a/b"), ("a/./b/../c", "a/c"), ("a//b", "a/b"), ("/", "")],
)
def test_name_is_normalised(path: str, name: str) -> None:
    assert created_name(path) == name


def test_name_outside_the_root_is_refused() -> None:
    with pytest.raises(ValueError, match="leads out"):
        created_name("../a")


def test_removing_takes_what_lies_below_and_nothing_beside() -> None:
    created = frozenset({"a", "a/b", "a/b/c", "ab", "b"})
    assert at_or_below(created, "a/") == {"a", "a/b", "a/b/c"}
    assert at_or_below(created, "a/b") == {"a/b", "a/b/c"}


def test_removing_the_root_takes_everything() -> None:
    assert at_or_below(frozenset({"a", "b/c"}), "/") == {"a", "b/c"}


def test_contents_are_removed_before_their_directory() -> None:
    assert removal_order({"a", "a/b", "a/b/c", "b"}) == ["b", "a/b/c", "a/b", "a"]


def test_root_is_not_in_the_order_of_removal() -> None:
    assert removal_order({"", "a"}) == ["a"]


def test_ancestors_come_outermost_first() -> None:
    assert ancestors("a/b/c") == ["a", "a/b"]
    assert ancestors("a") == []
    assert ancestors("/") == []
