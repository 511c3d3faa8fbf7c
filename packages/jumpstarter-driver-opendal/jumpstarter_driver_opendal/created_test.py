"""Which paths count as created."""

import pytest

from jumpstarter_driver_opendal.created import (
    ancestors,
    created_name,
    removal_order,
    with_created,
    without_removed,
)


@pytest.mark.parametrize(
    ("path", "name"),
    [("/a/b/", "a/b"), ("a\\b", "a/b"), ("a/./b/../c", "a/c"), ("a//b", "a/b"), ("/", "")],
)
def test_name_is_normalised(path: str, name: str) -> None:
    assert created_name(path) == name


def test_creating_adds_the_name_once() -> None:
    assert with_created(with_created(frozenset(), "/a/"), "a") == {"a"}


def test_the_root_is_never_added() -> None:
    assert with_created(frozenset(), "/") == frozenset()


def test_name_outside_the_root_is_refused() -> None:
    with pytest.raises(ValueError, match="leads out"):
        with_created(frozenset(), "../a")


def test_removing_drops_what_lies_below_and_nothing_beside() -> None:
    created = frozenset({"a", "a/b", "a/b/c", "ab", "b"})
    assert without_removed(created, "a/") == {"ab", "b"}


def test_removing_the_root_drops_everything() -> None:
    assert without_removed(frozenset({"a", "b/c"}), "/") == frozenset()


def test_contents_are_removed_before_their_directory() -> None:
    assert removal_order({"a", "a/b", "a/b/c", "b"}) == ["b", "a/b/c", "a/b", "a"]


def test_root_is_not_in_the_order_of_removal() -> None:
    assert removal_order({"", "a"}) == ["a"]


def test_ancestors_come_outermost_first() -> None:
    assert ancestors("a/b/c") == ["a", "a/b"]
    assert ancestors("a") == []
    assert ancestors("/") == []
