"""Which name a username may act as (scenario S8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .usernames import UnfitNameError, derived_name, name_of

INTERNAL = "internal:client:default:ann:0b9e"
ACCOUNT = "dex:system:serviceaccount:default:robot"


@pytest.mark.parametrize(
    ("username", "name"),
    [
        ("dex:foo@example.com", "foo-example-com"),
        ("keycloak:developer-1", "developer-1"),
        ("a" * 70, "a" * 63),
        ("dex:" + "a" * 62 + "@b", "a" * 62),
        ("dex:Foo__Bar", "foo-bar"),
        ("dex:--foo--", "foo"),
        ("dex:a:b", "a-b"),
        ("nocolon", "nocolon"),
        ("dex:", ""),
    ],
)
def test_name_follows_from_the_username(username: str, name: str) -> None:
    assert derived_name(username) == name


@pytest.mark.parametrize("username", [INTERNAL, ACCOUNT])
def test_any_name_may_be_stated(username: str) -> None:
    assert name_of(username, "whatever") == "whatever"


@pytest.mark.parametrize("username", [INTERNAL, ACCOUNT])
def test_a_name_must_be_stated(username: str) -> None:
    with pytest.raises(UnfitNameError):
        name_of(username, "")


@pytest.mark.parametrize("stated", ["", "foo-example-com"])
def test_the_name_that_follows_may_be_stated_or_left_out(stated: str) -> None:
    assert name_of("dex:foo@example.com", stated) == "foo-example-com"


def test_another_name_is_refused_and_both_are_told() -> None:
    with pytest.raises(UnfitNameError, match=r"'bar'.*'foo'"):
        name_of("dex:foo", "bar")


def test_four_parts_are_no_service_account() -> None:
    with pytest.raises(UnfitNameError):
        name_of("dex:system:serviceaccount:robot", "robot")


@given(st.text(max_size=100))
def test_a_derived_name_is_short_and_plain(username: str) -> None:
    name = derived_name(username)

    assert len(name) <= 63
    assert set(name) <= set("-abcdefghijklmnopqrstuvwxyz0123456789")
    assert not name.startswith("-")
    assert not name.endswith("-")
