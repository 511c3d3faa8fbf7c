"""What options and classes ask for, together."""

from datetime import timedelta
from typing import Any

import pytest

from .wishes import Wish, class_wish, option_wish

NOTHING: dict[str, Any] = {
    "selector": None,
    "exporter": None,
    "lease": None,
    "client": None,
    "duration": None,
    "timeout": None,
}


def read(**given: Any) -> Wish:
    """Read the options that are given."""
    return option_wish(**{**NOTHING, **given})


def test_without_options_nothing_is_said():
    assert read() == Wish()


def test_options_are_read():
    wish = option_wish(
        selector=["a=1", "b in (2,3)"],
        exporter="x",
        lease=None,
        client="ann",
        duration="1h30m",
        timeout="90",
    )
    assert wish == Wish(
        selector="a=1,b in (2,3)",
        exporter="x",
        client="ann",
        duration=timedelta(minutes=90),
        timeout=timedelta(seconds=90),
    )


def test_selectors_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="--jmp-selector: label selector 'a=1,a=2'"):
        read(selector=["a=1", "a=2"])


@pytest.mark.parametrize("also", [{"selector": ["a"]}, {"exporter": "x"}, {"duration": "1h"}])
def test_lease_excludes_what_has_no_effect_on_it(also: dict[str, object]):
    with pytest.raises(ValueError, match=r"^--jmp-lease names a lease that there is already"):
        read(lease="l", **also)


@pytest.mark.parametrize(
    ("options", "selector", "exporter", "wanted"),
    [
        (Wish(), "", None, Wish()),
        (Wish(), "a=1", None, Wish(selector="a=1")),
        (Wish(selector="b"), "a=1", None, Wish(selector="b,a=1")),
        (Wish(selector="b"), "", None, Wish(selector="b")),
        (Wish(), "", "x", Wish(exporter="x")),
        (Wish(exporter="y"), "", "x", Wish(exporter="y")),
        (Wish(lease="l"), "a=1", "x", Wish(lease="l")),
    ],
)
def test_class_adds_to_the_options(options: Wish, selector: str, exporter: str, wanted: Wish):
    assert class_wish(options, selector, exporter) == wanted


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(), "a device"),
        (Wish(selector="a=1"), "a device with a=1"),
        (Wish(exporter="x"), "exporter x"),
        (Wish(exporter="x", selector="a=1"), "exporter x with a=1"),
        (Wish(lease="l"), "lease l"),
    ],
)
def test_words_of_messages(wish: Wish, words: str):
    assert wish.words == words
