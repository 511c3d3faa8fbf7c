"""Spans as people type them."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpstarter.model.spans import LONGEST, parse_span


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("3h30m", 12600),
        ("1d", 86400),
        ("2w", 1209600),
        ("1h 30m 5s", 5405),
        ("1.5h", 5400),
        ("10S", 10),
        (" 5m ", 300),
        ("01:30:05", 5405),
        ("100:00:00", 360000),
        ("00:00:00.5", 0.5),
        ("PT30M", 1800),
        ("P1DT2H", 93600),
        ("P2W", 1209600),
        ("pt1.5s", 1.5),
    ],
)
def test_spans(text: str, seconds: float):
    assert parse_span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "h",
        "5x",
        "-5",
        "-5m",
        "5m3h",
        "1:2:3",
        "12:34",
        "P",
        "PT",
        "P1M",
        "1e3",
        "٣",
        "nan",
    ],
)
def test_texts_that_are_no_span(text: str):
    with pytest.raises(ValueError, match="is no duration; write 90"):
        parse_span(text)


@pytest.mark.parametrize("text", ["0", "0s", "00:00:00", "36501d", "9" * 40, "9" * 400 + "w"])
def test_spans_that_cannot_be_used(text: str):
    with pytest.raises(ValueError, match="is no usable duration"):
        parse_span(text)


@given(st.text(max_size=12) | st.from_regex(r"[0-9.]{0,4}[wdhms:PT]?[0-9]{0,9}[hms]?"))
def test_any_text_is_a_span_or_refused(text: str):
    with suppress(ValueError):
        assert timedelta(0) < parse_span(text) <= LONGEST


def test_least_span():
    assert parse_span("5", timedelta(seconds=5)) == timedelta(seconds=5)
    assert parse_span("0", timedelta(0)) == timedelta(0)
    with pytest.raises(ValueError, match="it must be at least 5 seconds, and at most"):
        parse_span("4s", timedelta(seconds=5))
